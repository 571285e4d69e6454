"""A behavioural twin of model providers: the Anthropic Messages API, OpenAI-compatible chat
completions and OpenAI's Responses API.

It answers by a script instead of a model (script.py), so a rehearsal costs nothing and a test knows what comes.
"""
