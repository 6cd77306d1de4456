"""The HTTP side of SCIM: routes, request ids, access, limits, errors to answers; it knows neither SQL nor the rules."""
