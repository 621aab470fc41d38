"""The report of ``edgekit quantize``: float and INT8 bundle side by side."""
