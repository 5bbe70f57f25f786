"""What users write (annotations, custom resources, configuration), typed, with errors that name the field."""
