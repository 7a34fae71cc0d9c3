"""The pictures of data/textures that generate is judged on and looked at. The search's settings were chosen on the first ten (two of
tiles and planks with long lines, two of bricks, two fine, two coarse, two in between). The others are every third of the rest by
name, never chosen on.
"""
TUNED = (
    "ambientcg_Marble006 ambientcg_Tiles036 cc0textures_leaves cc0textures_sand polyhaven_aerial_rocks_02 polyhaven_asphalt_04 "
    "polyhaven_brick_wall_001 polyhaven_brick_floor_003 polyhaven_blue_painted_planks polyhaven_broken_brick_wall"
).split()
HELD_OUT = (
    "ambientcg_Metal007 polyhaven_aerial_ground_rock polyhaven_asphalt_01 polyhaven_asphalt_07 polyhaven_beam_wall_01 "
    "polyhaven_blue_floor_tiles_01 polyhaven_brick_wall_003 polyhaven_brick_wall_07 polyhaven_brick_wall_11 "
    "polyhaven_brown_mud_rocks_01"
).split()
