"""K-means: alternate minimisation, as a step of updates alone."""

from __future__ import annotations

from typing import Any

from ...drawing.blocks import Block, block
from ...drawing.states import state, update
from ...operations.elementwise import greater, maximum, where
from ...operations.indexing import scatter_add
from ...operations.reductions import argmin
from ...operations.reductions import min as least
from ...operations.source import fill
from ...operations.structure import expand_dims
from ...variables.variable import Variable, dtype_name
from .features import features
from .nearest import hold_points, squared_distances


class KMeans(Block):
    """Centres of clusters, each the mean of the samples that are nearest to it.

    Applied to x of shape (B, D) it gives the number of each sample's nearest centre, int64 (B,),
    and the squared distance to it, (B,).  The sum of the distances is what k-means makes small:

        kmeans = dg.KMeans(X[:10])
        cluster, distance = kmeans(x)
        diagram = dg.Diagram("clusters", {"cluster": cluster}, cost=dg.sum(distance))
        program = diagram.compile()             # no optimizer
        sums = [program.step(x=X) for _ in range(20)]

    A step finds the nearest centre of each sample, and then puts each centre into the mean of its
    samples.  Neither can make the sum greater, and so it never rises (but for rounding) where each
    step has all of the samples.  **A centre without samples stays where it is.**  What a step gives
    was computed before it moved the centres; a run moves nothing.

    Lloyd, Least squares quantization in PCM, 1982 (written in 1957); MacQueen, Some methods for
    classification and analysis of multivariate observations, 1967.

    Args:
        centers: the first centres (K, D), an array such as K samples; the program holds them as the
            state `centers`.  Or a state (K, D) that there is already.
        dtype: of the centres, float32 or float64.
        name: as for every block.

    Raises:
        ShapeError: centres of another shape, or none; when applied, x that is not (B, D).
        TypeError, ValueError: no numbers, or no finite ones.
        DtypeError: a state of another dtype; when applied, features of another.
        DiagramError: when applied, `centers` that are a variable and no state.
    """

    centers: Variable

    def __init__(self, centers: Any, dtype: Any = "float32", name: str | None = None) -> None:
        self.name = name
        self.dtype = dtype_name(dtype)
        hold_points(self, "centers", centers, self.dtype, state)

    def forward(self, x: Variable) -> tuple[Variable, Variable]:
        """(B, D) -> (B,), (B,)."""
        x = features(self, x, self.centers.shape[1], self.dtype, rank=2)
        distances = squared_distances(x, self.centers)
        nearest = argmin(distances, axis=-1)
        update(self.centers, means(x, nearest, self.centers))
        return nearest, least(distances, axis=-1)


@block
def means(x: Variable, cluster: Variable, centers: Variable) -> Variable:
    """The mean of each cluster's samples; of one that has none, the centre that it had."""
    ones = fill(1.0, x.shape[:1], x.dtype)
    count = expand_dims(scatter_add(cluster, ones, centers.shape[0]), -1)
    total = scatter_add(cluster, x, centers.shape[0])
    return where(greater(count, 0.0), total / maximum(count, 1.0), centers)
