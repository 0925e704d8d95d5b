"""The three ways to tune a student: LoRA SFT, prompt tuning, DPO."""
