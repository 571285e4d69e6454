-- Every message asks whether others of its chat that a yes let in are to go before it: there are hardly ever any.
CREATE INDEX access_requests_granted ON access_requests (chat, code) WHERE state = 'granted';
