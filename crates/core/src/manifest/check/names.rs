//! The names that a manifest declares, and looking up those that it uses.

use std::collections::{BTreeMap, BTreeSet};

use super::super::de::Spanned;
use super::super::error::{Fault, ManifestErrorKind, shortened};
use super::super::raw::RawManifest;
use super::super::text::Span;
use super::values::name;
use crate::nearest::nearest;
use crate::{DataName, Link, ServiceName};

/// Names of services and data sets, each once.
pub(super) struct Names {
    services: BTreeSet<ServiceName>,
    data: BTreeSet<DataName>,
}

impl Names {
    /// # Errors
    /// [`Fault`] at a name of another form or for the second time.
    pub(super) fn of(raw: &RawManifest) -> Result<Self, Fault> {
        let mut seen = Once::new("service");
        for service in &raw.service {
            seen.check(&service.name.value, service.name.span)?;
        }
        let mut seen = Once::new("data set");
        for data in &raw.data {
            seen.check(&data.name.value, data.name.span)?;
        }
        Ok(Self {
            services: raw
                .service
                .iter()
                .map(|service| name(&service.name))
                .collect::<Result<_, _>>()?,
            data: raw.data.iter().map(|data| name(&data.name)).collect::<Result<_, _>>()?,
        })
    }

    /// The service that `used` names.
    pub(super) fn service(&self, used: &Spanned<String>) -> Result<ServiceName, Fault> {
        self.service_named(&used.value, used.span)
    }

    pub(super) fn service_named(&self, used: &str, span: Span) -> Result<ServiceName, Fault> {
        self.services.get(used).cloned().ok_or_else(|| {
            let nearest = nearest(used, self.services.iter().map(ServiceName::as_str)).map(str::to_owned);
            let name = shortened(used);
            Fault::at(span, ManifestErrorKind::UnknownService { name, nearest })
        })
    }

    /// The data set that `used` names.
    pub(super) fn data(&self, used: &Spanned<String>) -> Result<DataName, Fault> {
        self.data_named(&used.value, used.span)
    }

    pub(super) fn data_named(&self, used: &str, span: Span) -> Result<DataName, Fault> {
        self.data.get(used).cloned().ok_or_else(|| {
            let nearest = nearest(used, self.data.iter().map(DataName::as_str)).map(str::to_owned);
            let name = shortened(used);
            Fault::at(span, ManifestErrorKind::UnknownData { name, nearest })
        })
    }

    /// The other end that `used` names: `internet`, `service.NAME`, `data.NAME`, or a name that only one of both has.
    pub(super) fn link(&self, used: &Spanned<String>) -> Result<Link, Fault> {
        let (text, span) = (used.value.as_str(), used.span);
        if text == "internet" {
            return Ok(Link::Internet);
        }
        if let Some(service) = text.strip_prefix("service.") {
            return self.service_named(service, span).map(Link::Service);
        }
        if let Some(data) = text.strip_prefix("data.") {
            return self.data_named(data, span).map(Link::Data);
        }
        match (self.services.get(text), self.data.get(text)) {
            (Some(service), None) => Ok(Link::Service(service.clone())),
            (None, Some(data)) => Ok(Link::Data(data.clone())),
            (Some(_), Some(_)) => {
                let name = text.to_owned();
                Err(Fault::at(span, ManifestErrorKind::AmbiguousLink { name }))
            }
            (None, None) => {
                let services = self.services.iter().map(ServiceName::as_str);
                let known = services.chain(self.data.iter().map(DataName::as_str));
                let nearest = nearest(text, known.chain(["internet"])).map(str::to_owned);
                let name = shortened(text);
                Err(Fault::at(span, ManifestErrorKind::UnknownLink { name, nearest }))
            }
        }
    }
}

/// Refuses what comes for the second time.
pub(super) struct Once {
    what: &'static str,
    seen: BTreeMap<String, Span>,
}

impl Once {
    pub(super) const fn new(what: &'static str) -> Self {
        let seen = BTreeMap::new();
        Self { what, seen }
    }

    pub(super) fn check(&mut self, name: &str, span: Span) -> Result<(), Fault> {
        match self.seen.get(name) {
            Some(first) => Err(Fault::duplicate(self.what, shortened(name), span, *first)),
            None => {
                self.seen.insert(name.to_owned(), span);
                Ok(())
            }
        }
    }
}
