"""What of a run is published: its data, its tuned students and its report, staged as repositories of the Hub.

Imports publishing, exporting, reporting and the rest of run. Start reading in `push`; `parts` says what there is,
`staging` makes the folders, and `report_page` the page of the report.
"""
