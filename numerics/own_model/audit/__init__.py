"""Does a model have the initialisation that it is meant to have? Tensor by tensor, in words.

`audit` compares a model with a recipe. `sample` describes the entries of a tensor, `comparison`
holds them against what is asked, `nearest` finds the recipe where none is named, and the modules
``…_findings`` say in words what is wrong.
"""
