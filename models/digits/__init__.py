"""The handwritten digits: a network, its test images, and the script that trains it."""
