"""What a training says of itself: what its curve shows, its speed, its energy, and trackers that the user asked for.

It imports models, config and errors, and nothing of training but the names of logged figures. Start reading in `curve`.
"""
