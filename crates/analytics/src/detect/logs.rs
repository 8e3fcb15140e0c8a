//! Log lines as series: each line belongs to a template, and how often a template comes is a series to be judged.
//!
//! Drain (He, Zhu, Zheng and Lyu, ICWS 2017): a tree of fixed depth by number of tokens and first tokens, then the most
//! similar template. Our deviations: memory is bounded (lines that would need more go to an overflow template), tokens
//! that hold a digit are variables from the start, and ties go to the older template.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use skyloom_core::Class;
use thiserror::Error;

/// What stands for a variable token.
const VARIABLE: &str = "<*>";
/// Tokens of a line that are looked at; what follows belongs to the last one.
const TOKENS_MAX: usize = 64;
/// Characters of a token that are kept.
const TOKEN_CHARS_MAX: usize = 128;

/// Sizes and similarity.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LogConfig {
    similarity: f64,
    prefix: usize,
    templates_max: usize,
}

/// Why a configuration is refused.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[non_exhaustive]
pub enum LogConfigError {
    /// Not in `0..=1`.
    #[error("group lines of a similarity of `{similarity}`: it must be in 0..=1")]
    Similarity {
        /// What was asked.
        similarity: f64,
    },
    /// No template at all.
    #[error("keep `0` templates: at least one is needed")]
    Templates,
}

impl LogConfigError {
    /// Always [`Class::Invalid`].
    #[must_use]
    pub const fn class(&self) -> Class {
        Class::Invalid
    }
}

impl Default for LogConfig {
    /// Half of the tokens equal, two leading tokens in the tree (a depth of 4 in the paper), 1,000 templates.
    fn default() -> Self {
        Self {
            similarity: 0.5,
            prefix: 2,
            templates_max: 1_000,
        }
    }
}

impl LogConfig {
    /// With another similarity, 0..=1, and another bound on the templates.
    ///
    /// # Errors
    /// [`LogConfigError`].
    pub fn with(mut self, similarity: f64, templates_max: usize) -> Result<Self, LogConfigError> {
        if !(0.0..=1.0).contains(&similarity) {
            return Err(LogConfigError::Similarity { similarity });
        }
        if templates_max == 0 {
            return Err(LogConfigError::Templates);
        }
        (self.similarity, self.templates_max) = (similarity, templates_max);
        Ok(self)
    }
}

/// The number of a template: dense, from 0, never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TemplateId(pub u32);

/// A shape of lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Template {
    /// Its tokens, `<*>` where they vary.
    pub tokens: Vec<String>,
    /// Lines so far.
    pub lines: u64,
    /// Lines since the counts were last taken.
    fresh: u64,
}

/// Where a line belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Match {
    /// The template; `None` when the line would need a new one and there is no room: it is counted as overflow.
    pub template: Option<TemplateId>,
    /// Whether this line is the first of it: such a line has never been seen.
    pub is_new: bool,
}

/// All templates of one stream of lines.
///
/// ```
/// use skyloom_analytics::detect::{LogConfig, Templates};
///
/// let mut templates = Templates::new(LogConfig::default());
/// let first = templates.push("connected to 10.0.0.1 after 12 ms");
/// let second = templates.push("connected to 10.0.0.7 after 9 ms");
/// assert!(first.is_new && !second.is_new && first.template == second.template);
/// assert_eq!(templates.show(first.template.unwrap()).unwrap(), "connected to <*> after <*> ms");
/// assert_eq!(templates.take_counts(), [2]);
/// assert!(templates.push("disk failure on node7").is_new);
/// assert_eq!(templates.take_counts(), [0, 1]); // each a point of a series
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Templates {
    config: LogConfig,
    templates: Vec<Template>,
    /// Templates by number of tokens and leading tokens; a list instead of a map of maps, which JSON could not hold.
    #[serde(with = "tree")]
    tree: BTreeMap<(usize, Vec<String>), Vec<u32>>,
    overflow: u64,
}

impl Templates {
    /// No template yet.
    #[must_use]
    pub const fn new(config: LogConfig) -> Self {
        Self {
            config,
            templates: Vec::new(),
            tree: BTreeMap::new(),
            overflow: 0,
        }
    }

    /// Finds or makes the template of a line (without its time stamp and level), and counts it.
    ///
    /// Cost: linear in the tokens times the templates that begin alike.
    pub fn push(&mut self, line: &str) -> Match {
        let tokens = tokens(line);
        let key = (
            tokens.len(),
            tokens.iter().take(self.config.prefix).cloned().collect::<Vec<_>>(),
        );
        let alike = self.tree.get(&key).map_or(&[][..], Vec::as_slice);
        let mut best: Option<(f64, u32)> = None;
        for id in alike {
            let own = self
                .templates
                .get(*id as usize)
                .map_or(&[][..], |template| &template.tokens);
            let similarity = similarity(own, &tokens);
            if similarity >= self.config.similarity && best.is_none_or(|(other, _)| similarity > other) {
                best = Some((similarity, *id));
            }
        }
        if let Some((_, id)) = best {
            if let Some(template) = self.templates.get_mut(id as usize) {
                template.take(&tokens);
            }
            return Match {
                template: Some(TemplateId(id)),
                is_new: false,
            };
        }
        let room = u32::try_from(self.templates.len())
            .ok()
            .filter(|_| self.templates.len() < self.config.templates_max);
        let Some(id) = room else {
            self.overflow = self.overflow.saturating_add(1);
            return Match {
                template: None,
                is_new: false,
            };
        };
        self.templates.push(Template {
            tokens,
            lines: 1,
            fresh: 1,
        });
        self.tree.entry(key).or_default().push(id);
        Match {
            template: Some(TemplateId(id)),
            is_new: true,
        }
    }

    /// Lines per template since the last call, by number of the template: one point for each series.
    pub fn take_counts(&mut self) -> Vec<u64> {
        self.templates
            .iter_mut()
            .map(|template| std::mem::take(&mut template.fresh))
            .collect()
    }

    /// Lines that found no room.
    #[must_use]
    pub const fn overflow(&self) -> u64 {
        self.overflow
    }

    /// All templates, by number.
    #[must_use]
    pub fn all(&self) -> &[Template] {
        &self.templates
    }

    /// A template as text.
    #[must_use]
    pub fn show(&self, id: TemplateId) -> Option<String> {
        self.templates
            .get(id.0 as usize)
            .map(|template| template.tokens.join(" "))
    }
}

impl Template {
    fn take(&mut self, tokens: &[String]) {
        for (own, other) in self.tokens.iter_mut().zip(tokens) {
            if own != other && own != VARIABLE {
                VARIABLE.clone_into(own);
            }
        }
        self.lines = self.lines.saturating_add(1);
        self.fresh = self.fresh.saturating_add(1);
    }
}

/// Share of equal tokens; a variable of the template is equal to none, as in the paper, but to another variable.
fn similarity(template: &[String], tokens: &[String]) -> f64 {
    let equal = template.iter().zip(tokens).filter(|(own, other)| own == other).count();
    crate::num::count(equal) / crate::num::count(template.len().max(1))
}

fn tokens(line: &str) -> Vec<String> {
    let shape = |token: &str| {
        if token.contains(|c: char| c.is_ascii_digit()) {
            VARIABLE.to_owned()
        } else {
            token.chars().take(TOKEN_CHARS_MAX).collect()
        }
    };
    line.split_whitespace().take(TOKENS_MAX).map(shape).collect()
}

/// The tree as a list of its leaves.
mod tree {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};

    type Tree = BTreeMap<(usize, Vec<String>), Vec<u32>>;

    pub(super) fn serialize<S: Serializer>(tree: &Tree, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(tree)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Tree, D::Error> {
        Ok(Vec::deserialize(deserializer)?.into_iter().collect())
    }
}
