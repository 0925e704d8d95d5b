"""What a run writes for people: report.md, report.html, the figures and the data card.

May import config, models, data_files and evaluation (comparison, statistics, benchmarks.base). Start with `report_data`
(what a report is made from) and `report`, for the data card with `data_card`; the texts are in ``templates/``.
"""
