"""Training adapters with LoRA SFT, prompt tuning and DPO; a killed training resumes and ends with the same adapter.

Builds on TRL and PEFT; may import chat, models, data_files and config, and no other library of the package.
Start with `tuners`, which trains one student with one method, then `supervised` and `run_training`.
"""
