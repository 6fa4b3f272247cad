"""fastha.config.mould.Cast, compiled: the slots of a new value are filled without a frame for each."""

cdef extern from "Python.h":
    int PyObject_GenericSetAttr(object value, object name, object attribute) except -1    # what object.__setattr__ calls


cdef class Cast:
    """See fastha.config.mould.Cast."""

    cdef type cls
    cdef list same
    cdef list made

    def __cinit__(self, type cls not None, list same not None, list made not None):
        self.cls = cls
        self.same = same
        self.made = made

    def __call__(self, str ip not None):
        value = self.cls.__new__(self.cls)
        for name, fixed in self.same:
            PyObject_GenericSetAttr(value, name, fixed)
        for name, part in self.made:
            PyObject_GenericSetAttr(value, name, part(ip))
        return value
