"""The link between agent and relay: frames, session, streams; used by both ends, knows nothing of SCIM or HTTP."""
