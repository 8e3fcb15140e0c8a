//! A CSV table with named columns: header, rows, cells, each with its place for an error.
//!
//! No column order and no meaning of a column belong here. The `csv` crate's own deserialising was not taken: its errors
//! do not say the column and the text.

use csv::{ErrorKind, ReaderBuilder, StringRecord};

use super::{CatalogueError, Problem};

/// Most rows of one table: thirty times the largest published list. A bound against endless input.
pub(super) const ROWS_MAX: u64 = 2_000_000;
/// Longest piece of offending text that an error repeats, in characters.
const SHOWN_LEN_MAX: usize = 80;
/// What some spreadsheets put before the header.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A table whose header was read.
#[derive(Debug)]
pub(super) struct Sheet<'a> {
    file: &'a str,
    reader: csv::Reader<&'a [u8]>,
    header: StringRecord,
    /// The row last read; one buffer for all.
    record: StringRecord,
    rows: u64,
}

/// One row of a table.
#[derive(Debug)]
pub(super) struct Row<'a> {
    file: &'a str,
    /// Line on which the row begins, from 1.
    pub(super) line: u64,
    record: &'a StringRecord,
}

/// A column: its position and its name, for errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Column {
    at: usize,
    pub(super) name: &'static str,
}

impl<'a> Sheet<'a> {
    /// Reads the header. `file` is the caller's name of the input, for errors.
    pub(super) fn open(bytes: &'a [u8], file: &'a str) -> Result<Self, CatalogueError> {
        let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
        // Lengths are compared here, so that the error says the line and both numbers.
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(bytes);
        let mut header = StringRecord::new();
        read_into(&mut reader, &mut header, file)?;
        Ok(Self {
            file,
            reader,
            header,
            record: StringRecord::new(),
            rows: 0,
        })
    }

    /// The column of that name, in any case of letters.
    pub(super) fn column(&self, name: &'static str) -> Result<Column, CatalogueError> {
        self.optional_column(name)?
            .ok_or_else(|| CatalogueError::MissingColumn {
                file: self.file.to_owned(),
                column: name,
            })
    }

    /// The column of that name, where there is one.
    pub(super) fn optional_column(&self, name: &'static str) -> Result<Option<Column>, CatalogueError> {
        let mut found = None;
        for (at, field) in self.header.iter().enumerate() {
            if !field.trim().eq_ignore_ascii_case(name) {
                continue;
            }
            if found.replace(Column { at, name }).is_some() {
                return Err(CatalogueError::RepeatedColumn {
                    file: self.file.to_owned(),
                    column: name,
                });
            }
        }
        Ok(found)
    }

    /// The next row; `None` at the end. Empty lines are passed over.
    pub(super) fn next_row(&mut self) -> Result<Option<Row<'_>>, CatalogueError> {
        if !read_into(&mut self.reader, &mut self.record, self.file)? {
            return Ok(None);
        }
        self.rows += 1;
        if self.rows > ROWS_MAX {
            return Err(CatalogueError::TooManyRows {
                file: self.file.to_owned(),
                rows_max: ROWS_MAX,
            });
        }
        let line = self.record.position().map_or(0, csv::Position::line);
        let (expected, found) = (self.header.len(), self.record.len());
        if expected != found {
            return Err(CatalogueError::RowLength {
                file: self.file.to_owned(),
                line,
                expected,
                found,
            });
        }
        Ok(Some(Row {
            file: self.file,
            line,
            record: &self.record,
        }))
    }
}

/// Whether there was another record. From a slice and with records of any length, text that is not UTF-8 is the one
/// thing that can go wrong.
fn read_into(reader: &mut csv::Reader<&[u8]>, record: &mut StringRecord, file: &str) -> Result<bool, CatalogueError> {
    reader.read_record(record).map_err(|error| {
        let line = match error.kind() {
            ErrorKind::Utf8 { pos: Some(pos), .. } => pos.line(),
            _ => reader.position().line(),
        };
        CatalogueError::NotUtf8 {
            file: file.to_owned(),
            line,
        }
    })
}

impl Row<'_> {
    /// The text of a cell without blanks around it.
    pub(super) fn text(&self, column: Column) -> &str {
        self.record.get(column.at).map_or("", str::trim)
    }

    /// The text of a cell; empty where the table has no such column.
    pub(super) fn optional_text(&self, column: Option<Column>) -> &str {
        column.map_or("", |column| self.text(column))
    }

    /// An error at a cell.
    pub(super) fn error(&self, column: Column, problem: Problem) -> CatalogueError {
        CatalogueError::Cell {
            file: self.file.to_owned(),
            line: self.line,
            column: column.name,
            text: shown(self.text(column)),
            problem,
        }
    }
}

/// The beginning of a text, at most as much as an error repeats.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(SHOWN_LEN_MAX).collect()
}
