"""The page where people look, grade and correct: a local web server on a study folder, and what it remembers.

Every correction is a row that says who, when, before and after; native files change only when somebody asks for it.
"""
