"""The ``triton`` implementation: cuBLAS for the products, one fused kernel for what lies between.

Imported only when it is used, for importing triton takes time and decides once and for all whether
its kernels are compiled or interpreted (``TRITON_INTERPRET=1``, for tests without a GPU).
"""
