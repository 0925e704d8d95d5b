"""What a training leaves on disk: its folder, checkpoints that carry their hashes, and adapters that PEFT can load.

It imports data_files, models and config. Start reading in `workspace`; `sealed_folder` says whether a checkpoint is
whole, and `adapter_files` what belongs to a finished adapter.
"""
