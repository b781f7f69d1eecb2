"""ResNet-18 in int8 with random weights, for measuring: ``python -m tilewright.models.resnet18 -o resnet18.onnx``.

The same seed and size give the same file, so that anyone can repeat a measurement. How long a network takes does not
depend on its weights.
"""
