"""The compiler: models to programs.

``frontend`` reads a model into a ``graph``; ``pipeline`` lists the ``passes`` that make it integers and divide it
between accelerator and host; ``ops`` says what each operator means; ``schedule`` makes instructions of it and ``te``
with ``host`` machine code; ``assemble`` puts the program together. :mod:`.compile` is the front door.
"""
