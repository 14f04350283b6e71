"""Does a model have the initialisation that it is meant to have? Tensor by tensor, in words."""
