"""The JSON clients send and get, one file per noun; the OpenAPI document is made of these."""
