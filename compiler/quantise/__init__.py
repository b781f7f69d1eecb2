"""Post-training quantisation: a float model and calibration inputs become a quantised model and a report of errors.

``canonical`` folds normalisations, ``placement`` decides what becomes integers, ``equalise`` brings channels of unlike
size together, ``ranges`` runs the samples and chooses scales by one of the ``estimators``, ``bias`` takes back mean
errors, ``rewrite`` writes the QDQ form that the compiler lowers, and ``report`` compares. :mod:`.model` does all of it.
"""
