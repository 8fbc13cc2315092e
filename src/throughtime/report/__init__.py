"""The report of a run: one self-contained HTML page."""

from throughtime.report.page import Figure as Figure
from throughtime.report.page import Report as Report
from throughtime.report.page import Section as Section
from throughtime.report.page import Table as Table
from throughtime.report.page import render as render
