"""diagrad: draw the block diagram; get its gradient graph and a native program."""

from os import path as _path

# A checkout on a system without symbolic links: the three rooms stand beside this folder.
if not _path.isdir(_path.join(__path__[0], "compiler")):
    __path__.append(_path.dirname(_path.abspath(__path__[0])))

from numpy import (
    bool_,
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
    uint16,
    uint32,
)

from .frontend.diagram import Diagram
from .frontend.drawing import copying as _copying  # noqa: F401 (attaches `copy.deepcopy`)
from .frontend.drawing import showing as _showing  # noqa: F401 (attaches what consoles show)
from .frontend.drawing.binding import Bound, bind
from .frontend.drawing.blocks import Block, block
from .frontend.drawing.chains import Chain
from .frontend.drawing.connect import connect, variable
from .frontend.drawing.derivatives import gradient, jacobian
from .frontend.drawing.loops.loop import Loop, loop
from .frontend.drawing.sharing import share, tie
from .frontend.drawing.states import state, update
from .frontend.errors import (
    CheckpointError,
    CycleError,
    DiagradError,
    DiagramError,
    DiagramWarning,
    DtypeError,
    InputError,
    LayoutError,
    NameTakenError,
    ShapeError,
    TargetError,
    UnusedError,
    UnusedWarning,
)
from .frontend.generate import generate
from .frontend.keywords import guarded as _guarded
from .frontend.library import init
from .frontend.library.attention.attention import attention, attention_weights
from .frontend.library.attention.encodings import (
    LearnedEncoding,
    RotaryEncoding,
    SinusoidalEncoding,
    positional_encoding,
)
from .frontend.library.attention.layers import TransformerDecoderLayer, TransformerEncoderLayer
from .frontend.library.attention.multi_head import MultiHeadAttention
from .frontend.library.attention.transformer import (
    Transformer,
    TransformerDecoder,
    TransformerEncoder,
)
from .frontend.library.convolution import (
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
)
from .frontend.library.costs.alignment import ctc
from .frontend.library.costs.binary import binary_cross_entropy, focal
from .frontend.library.costs.classes import cross_entropy, multi_margin, nll
from .frontend.library.costs.densities import gaussian_nll, kl_divergence, poisson_nll
from .frontend.library.costs.elements import absolute_error, hinge, huber, squared_error
from .frontend.library.costs.reduction import cost
from .frontend.library.costs.similarity import cosine, margin, triplet
from .frontend.library.dropout import Dropout, Dropout1d, Dropout2d, Dropout3d
from .frontend.library.embedding import Embedding
from .frontend.library.functions.rectifiers import (
    celu,
    elu,
    hard_shrink,
    hard_sigmoid,
    hard_swish,
    hard_tanh,
    leaky_relu,
    relu,
    relu6,
    selu,
    soft_shrink,
    threshold,
)
from .frontend.library.functions.similarity import (
    cosine_similarity,
    normalize,
    pairwise_distance,
)
from .frontend.library.functions.smooth import (
    gelu,
    glu,
    log_sigmoid,
    mish,
    silu,
    softplus,
    softsign,
    tanh_shrink,
)
from .frontend.library.functions.softmaxes import (
    gumbel_softmax,
    log_softmax,
    logsumexp,
    softmax,
    softmin,
)
from .frontend.library.hypernetwork import Hypernetwork
from .frontend.library.joint_embedding import info_nce, vicreg
from .frontend.library.layers import (
    Bilinear,
    Flatten,
    Identity,
    Lambda,
    Linear,
    PReLU,
    RReLU,
)
from .frontend.library.local import LocallyConnected2d
from .frontend.library.local_contrast import DivisiveNorm, SubtractiveNorm
from .frontend.library.machines.boltzmann import BoltzmannMachine
from .frontend.library.machines.hopfield import Hopfield
from .frontend.library.machines.kmeans import KMeans
from .frontend.library.machines.nearest import NearestNeighbor
from .frontend.library.machines.restricted import RestrictedBoltzmannMachine
from .frontend.library.moving_average import MovingAverage
from .frontend.library.multiplicative.experts import MixtureOfExperts
from .frontend.library.multiplicative.products import ProductUnits, SigmaPi
from .frontend.library.multiplicative.quadratic import Quadratic
from .frontend.library.multiplicative.switch import SoftSwitch
from .frontend.library.normalisation import (
    BatchNorm,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    RMSNorm,
)
from .frontend.library.pooling import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveAvgPool3d,
    AvgPool1d,
    AvgPool2d,
    AvgPool3d,
    LogSumExpPool1d,
    LogSumExpPool2d,
    LogSumExpPool3d,
    LpPool1d,
    LpPool2d,
    LpPool3d,
    MaxPool1d,
    MaxPool2d,
    MaxPool3d,
    logsumexp_pool,
    lp_pool,
)
from .frontend.library.recurrent.attention import AdditiveAttention
from .frontend.library.recurrent.cells import GRUCell, LSTMCell, RNNCell
from .frontend.library.recurrent.integrators import LeakyIntegrator, NeuralODE
from .frontend.library.recurrent.layers import GRU, LSTM, RNN
from .frontend.library.recurrent.propagation import gradient_propagation, l1, probes
from .frontend.library.recurrent.translation import Decoder, Encoder, EncoderDecoder
from .frontend.library.residual import Residual
from .frontend.library.resnet import BasicBlock, Bottleneck
from .frontend.library.scoring.machine import wfsm
from .frontend.library.torch_names import load_torch, torch_weights
from .frontend.library.unit_graph import UnitGraph
from .frontend.library.weight_norm import WeightNorm
from .frontend.operations import operators as _operators  # noqa: F401 (attaches the operators)
from .frontend.operations.contractions import einsum, logmatmulexp, matmul
from .frontend.operations.convolution.convolutions import conv_transpose, convolve, correlate
from .frontend.operations.convolution.sizes import conv_shape
from .frontend.operations.elementwise import (
    absolute,
    add,
    astype,
    ceil,
    clip,
    cos,
    divide,
    equal,
    erf,
    exp,
    expm1,
    floor,
    greater,
    greater_equal,
    less,
    less_equal,
    log,
    log1p,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    maximum,
    minimum,
    multiply,
    negative,
    not_equal,
    power,
    reciprocal,
    rsqrt,
    sigmoid,
    sign,
    sin,
    sqrt,
    square,
    stop_gradient,
    subtract,
    tanh,
    where,
)
from .frontend.operations.functions.exponentials import (
    cbrt,
    exp2,
    hypot,
    log2,
    log10,
    logaddexp,
    xlogy,
)
from .frontend.operations.functions.hyperbolic import (
    acosh,
    asinh,
    atanh,
    cosh,
    sinh,
)
from .frontend.operations.functions.rounding import (
    copysign,
    isfinite,
    isinf,
    isnan,
    nan_to_num,
    round,
    signbit,
    trunc,
)
from .frontend.operations.functions.special import (
    digamma,
    erfc,
    erfinv,
    lgamma,
)
from .frontend.operations.functions.trigonometry import (
    acos,
    asin,
    atan,
    atan2,
    sinc,
    tan,
)
from .frontend.operations.indexing import (
    one_hot,
    scatter_add,
    scatter_max,
    scatter_min,
    scatter_mul,
    segment_max,
    segment_min,
    segment_prod,
    segment_sum,
    take,
)
from .frontend.operations.integers.bits import (
    bitwise_and,
    bitwise_invert,
    bitwise_left_shift,
    bitwise_or,
    bitwise_right_shift,
    bitwise_xor,
)
from .frontend.operations.integers.division import divmod, floor_divide, fmod, remainder
from .frontend.operations.linear.cholesky import cholesky, triangular_solve
from .frontend.operations.linear.determinants import det, slogdet
from .frontend.operations.linear.orthogonal import (
    eigh,
    eigvalsh,
    lstsq,
    matrix_rank,
    pinv,
    qr,
    svd,
    svdvals,
)
from .frontend.operations.linear.powers import expm, matrix_power
from .frontend.operations.linear.systems import inverse, solve
from .frontend.operations.making.arrays import (
    eye,
    full,
    full_like,
    linspace,
    meshgrid,
    ones,
    ones_like,
    zeros,
    zeros_like,
)
from .frontend.operations.mode import training
from .frontend.operations.moving.padding import pad
from .frontend.operations.moving.pixels import pixel_shuffle, pixel_unshuffle
from .frontend.operations.moving.repeats import repeat, roll, tile
from .frontend.operations.moving.triangles import diagonal, trace, tril, triu
from .frontend.operations.ordering.along import put_along_axis, take_along_axis
from .frontend.operations.ordering.membership import isin
from .frontend.operations.ordering.quantiles import median, quantile, searchsorted
from .frontend.operations.ordering.sorting import argsort, sort, topk
from .frontend.operations.pool_windows import pool_shape
from .frontend.operations.pooling import adaptive_avg_pool, avg_pool, max_pool
from .frontend.operations.products.norms import norm
from .frontend.operations.products.products import cross, inner, kron, outer, tensordot, vecdot
from .frontend.operations.random import random_normal, random_uniform
from .frontend.operations.reductions import (
    all,
    any,
    argmax,
    argmin,
    count_nonzero,
    cumsum,
    max,
    mean,
    min,
    std,
    sum,
    variance,
)
from .frontend.operations.running.differences import diff
from .frontend.operations.running.running import cumprod, logcumsumexp, prod
from .frontend.operations.source import arange, fill, size
from .frontend.operations.structure import (
    broadcast_to,
    concatenate,
    expand_dims,
    flatten,
    flip,
    moveaxis,
    reshape,
    split,
    squeeze,
    stack,
    swapaxes,
    transpose,
    unstack,
)
from .frontend.operations.windows import windows
from .frontend.program import Program
from .frontend.reports.gradient_flow import GradientFlow, gradient_flow
from .frontend.reports.usable_targets import targets
from .frontend.training import augment, metrics, schedules
from .frontend.training.callbacks.callback import Callback, TrainingState
from .frontend.training.callbacks.checkpointing import Checkpoint
from .frontend.training.callbacks.logs import CSVLogger, TensorBoard
from .frontend.training.callbacks.monitoring import EarlyStopping, ReduceLROnPlateau
from .frontend.training.clipping import clip_norm, clip_value
from .frontend.training.evaluating import evaluate
from .frontend.training.finding import RateCurve, find_rate
from .frontend.training.fit import fit
from .frontend.training.history import Epoch, History
from .frontend.training.optimizers import (
    LBFGS,
    SGD,
    Accumulate,
    Adadelta,
    Adagrad,
    Adam,
    AdamW,
    Lion,
    NAdam,
    Optimizer,
    ParameterGroups,
    RAdam,
    RMSprop,
)
from .frontend.training.state_files import load_state, save_state
from .frontend.training.trained import freeze, unfreeze
from .frontend.transform_step import TransformStep, transform_step
from .frontend.variables.constants import constant
from .frontend.variables.variable import Variable, observed, parameter

__version__ = "0.1.0"

__all__ = [
    "GRU",
    "LBFGS",
    "LSTM",
    "RNN",
    "SGD",
    "Accumulate",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdditiveAttention",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "BasicBlock",
    "BatchNorm",
    "Bilinear",
    "Block",
    "BoltzmannMachine",
    "Bottleneck",
    "Bound",
    "CSVLogger",
    "Callback",
    "Chain",
    "Checkpoint",
    "CheckpointError",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "CycleError",
    "Decoder",
    "DiagradError",
    "Diagram",
    "DiagramError",
    "DiagramWarning",
    "DivisiveNorm",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "DtypeError",
    "EarlyStopping",
    "Embedding",
    "Encoder",
    "EncoderDecoder",
    "Epoch",
    "Flatten",
    "GRUCell",
    "GradientFlow",
    "GroupNorm",
    "History",
    "Hopfield",
    "Hypernetwork",
    "Identity",
    "InputError",
    "InstanceNorm",
    "KMeans",
    "LSTMCell",
    "Lambda",
    "LayerNorm",
    "LayoutError",
    "LeakyIntegrator",
    "LearnedEncoding",
    "Linear",
    "Lion",
    "LocallyConnected2d",
    "LogSumExpPool1d",
    "LogSumExpPool2d",
    "LogSumExpPool3d",
    "Loop",
    "LpPool1d",
    "LpPool2d",
    "LpPool3d",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "MixtureOfExperts",
    "MovingAverage",
    "MultiHeadAttention",
    "NAdam",
    "NameTakenError",
    "NearestNeighbor",
    "NeuralODE",
    "Optimizer",
    "PReLU",
    "ParameterGroups",
    "ProductUnits",
    "Program",
    "Quadratic",
    "RAdam",
    "RMSNorm",
    "RMSprop",
    "RNNCell",
    "RReLU",
    "RateCurve",
    "ReduceLROnPlateau",
    "Residual",
    "RestrictedBoltzmannMachine",
    "RotaryEncoding",
    "ShapeError",
    "SigmaPi",
    "SinusoidalEncoding",
    "SoftSwitch",
    "SubtractiveNorm",
    "TargetError",
    "TensorBoard",
    "TrainingState",
    "TransformStep",
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
    "UnitGraph",
    "UnusedError",
    "UnusedWarning",
    "Variable",
    "WeightNorm",
    "absolute",
    "absolute_error",
    "acos",
    "acosh",
    "adaptive_avg_pool",
    "add",
    "all",
    "any",
    "arange",
    "argmax",
    "argmin",
    "argsort",
    "asin",
    "asinh",
    "astype",
    "atan",
    "atan2",
    "atanh",
    "attention",
    "attention_weights",
    "augment",
    "avg_pool",
    "binary_cross_entropy",
    "bind",
    "bitwise_and",
    "bitwise_invert",
    "bitwise_left_shift",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "block",
    "bool_",
    "broadcast_to",
    "cbrt",
    "ceil",
    "celu",
    "cholesky",
    "clip",
    "clip_norm",
    "clip_value",
    "concatenate",
    "connect",
    "constant",
    "conv_shape",
    "conv_transpose",
    "convolve",
    "copysign",
    "correlate",
    "cos",
    "cosh",
    "cosine",
    "cosine_similarity",
    "cost",
    "count_nonzero",
    "cross",
    "cross_entropy",
    "ctc",
    "cumprod",
    "cumsum",
    "det",
    "diagonal",
    "diff",
    "digamma",
    "divide",
    "divmod",
    "eigh",
    "eigvalsh",
    "einsum",
    "elu",
    "equal",
    "erf",
    "erfc",
    "erfinv",
    "evaluate",
    "exp",
    "exp2",
    "expand_dims",
    "expm",
    "expm1",
    "eye",
    "fill",
    "find_rate",
    "fit",
    "flatten",
    "flip",
    "float16",
    "float32",
    "float64",
    "floor",
    "floor_divide",
    "fmod",
    "focal",
    "freeze",
    "full",
    "full_like",
    "gaussian_nll",
    "gelu",
    "generate",
    "glu",
    "gradient",
    "gradient_flow",
    "gradient_propagation",
    "greater",
    "greater_equal",
    "gumbel_softmax",
    "hard_shrink",
    "hard_sigmoid",
    "hard_swish",
    "hard_tanh",
    "hinge",
    "huber",
    "hypot",
    "info_nce",
    "init",
    "inner",
    "int8",
    "int16",
    "int32",
    "int64",
    "inverse",
    "isfinite",
    "isin",
    "isinf",
    "isnan",
    "jacobian",
    "kl_divergence",
    "kron",
    "l1",
    "leaky_relu",
    "less",
    "less_equal",
    "lgamma",
    "linspace",
    "load_state",
    "load_torch",
    "log",
    "log1p",
    "log2",
    "log10",
    "log_sigmoid",
    "log_softmax",
    "logaddexp",
    "logcumsumexp",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "logmatmulexp",
    "logsumexp",
    "logsumexp_pool",
    "loop",
    "lp_pool",
    "lstsq",
    "margin",
    "matmul",
    "matrix_power",
    "matrix_rank",
    "max",
    "max_pool",
    "maximum",
    "mean",
    "median",
    "meshgrid",
    "metrics",
    "min",
    "minimum",
    "mish",
    "moveaxis",
    "multi_margin",
    "multiply",
    "nan_to_num",
    "negative",
    "nll",
    "norm",
    "normalize",
    "not_equal",
    "observed",
    "one_hot",
    "ones",
    "ones_like",
    "outer",
    "pad",
    "pairwise_distance",
    "parameter",
    "pinv",
    "pixel_shuffle",
    "pixel_unshuffle",
    "poisson_nll",
    "pool_shape",
    "positional_encoding",
    "power",
    "probes",
    "prod",
    "put_along_axis",
    "qr",
    "quantile",
    "random_normal",
    "random_uniform",
    "reciprocal",
    "relu",
    "relu6",
    "remainder",
    "repeat",
    "reshape",
    "roll",
    "round",
    "rsqrt",
    "save_state",
    "scatter_add",
    "scatter_max",
    "scatter_min",
    "scatter_mul",
    "schedules",
    "searchsorted",
    "segment_max",
    "segment_min",
    "segment_prod",
    "segment_sum",
    "selu",
    "share",
    "sigmoid",
    "sign",
    "signbit",
    "silu",
    "sin",
    "sinc",
    "sinh",
    "size",
    "slogdet",
    "soft_shrink",
    "softmax",
    "softmin",
    "softplus",
    "softsign",
    "solve",
    "sort",
    "split",
    "sqrt",
    "square",
    "squared_error",
    "squeeze",
    "stack",
    "state",
    "std",
    "stop_gradient",
    "subtract",
    "sum",
    "svd",
    "svdvals",
    "swapaxes",
    "take",
    "take_along_axis",
    "tan",
    "tanh",
    "tanh_shrink",
    "targets",
    "tensordot",
    "threshold",
    "tie",
    "tile",
    "topk",
    "torch_weights",
    "trace",
    "training",
    "transform_step",
    "transpose",
    "triangular_solve",
    "tril",
    "triplet",
    "triu",
    "trunc",
    "uint8",
    "uint16",
    "uint32",
    "unfreeze",
    "unstack",
    "update",
    "variable",
    "variance",
    "vecdot",
    "vicreg",
    "wfsm",
    "where",
    "windows",
    "xlogy",
    "zeros",
    "zeros_like",
]

# Keywords that a function does not have are told in one way.
for _name in __all__:
    globals()[_name] = _guarded(globals()[_name])
