"""A folder for each part of the project; `whole` has what takes several of them, `support` what all share."""
