"""Models that come with the kit: small, trained by scripts kept beside them.

Members
-------
DIGITS
    A convolutional network for scikit-learn's 8x8 handwritten digits, int8, ONNX QDQ; :mod:`.digits.train` makes it.
DIGITS_TEST
    The digits that it was not trained on: ``images`` float32 (n, 1, 8, 8), values 0 to 1, ``labels`` int64 (n,),
    and ONNX Runtime's answers, ``probabilities`` float32 (n, 10).
"""

from pathlib import Path

__all__ = ["DIGITS", "DIGITS_TEST"]

_FOLDER = Path(__file__).parent
DIGITS = _FOLDER / "digits" / "digits.onnx"
DIGITS_TEST = _FOLDER / "digits" / "digits_test.npz"
