"""Explaining: where an object stands on its way into a registry. Pure: values in, values out."""
