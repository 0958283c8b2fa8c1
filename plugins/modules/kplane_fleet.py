DOCUMENTATION = r"""
module: kplane_fleet
short_description: x
"""
