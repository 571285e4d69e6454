"""The user's side: what people do and see, as the API that all twins share, and the phone page on it.

Everywhere a person is an id or a name (else Anna), a chat an id or a name (else the direct chat). Each verb's body is
described where it is done:

`verbs.py`     POST type edit delete upload forward react
`pressing.py`  POST press command autocomplete submit
`comings.py`   POST join leave thread channel archive block permission slow intents typing
`controls.py`  POST fault token clock reconnect limits, DELETE fault, GET fault
`sight.py`     GET world chat; the event log is GET log, a file's bytes GET file?id=
"""
