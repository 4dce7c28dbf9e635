"""What of the standard is not here, and why."""

COMPLEX = "there are no complex numbers"
VALUES = "the size of the result depends on values, and sizes are known before a call"
FOURIER = "transforms need complex numbers"
NARROW = "a dtype of storage: what is computed of it is an int32, so no result has it"

LEFT_OUT: dict[str, str] = {
    "complex64": COMPLEX,
    "complex128": COMPLEX,
    "conj": COMPLEX,
    "imag": COMPLEX,
    "real": COMPLEX,
    "int8": NARROW,
    "int16": NARROW,
    "uint8": NARROW,
    "uint16": NARROW,
    "uint64": "no index or count needs it, and no model has asked for it",
    "nextafter": "it reads the bits of a float, for which there is no operation",
    "nonzero": VALUES,
    "unique_all": VALUES,
    "unique_counts": VALUES,
    "unique_inverse": VALUES,
    "unique_values": VALUES,
    "fft": FOURIER,
    "linalg.eig": COMPLEX,
    "linalg.eigvals": COMPLEX,
    "Array.__setitem__": "an expression stays what it is; dg.where gives another",
}
"""By the name in the standard."""

DIFFERENT: dict[str, str] = {
    "promotion": "dtypes never meet silently: the adapter casts to what the standard's table gives",
    "__getitem__ by bools": VALUES,
    "floor_divide": (
        "of infinities, by infinities and of zeros it is NumPy's and Python's: inf // 2 is NaN, "
        "1 // -inf is -1; the sign of a zero is not the standard's"
    ),
    "remainder": "the sign of a zero is not the standard's",
    "signbit": "no NaN has a sign",
    "linalg.qr, linalg.svd": "the reduced bases alone: of complete ones no gradient is known",
    "sum, prod": "of uint32 they are uint32: there is no uint64",
}
"""What is here, with another result somewhere."""
