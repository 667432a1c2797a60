"""Decisions only: each workflow reads like the sentence a product person would say."""
