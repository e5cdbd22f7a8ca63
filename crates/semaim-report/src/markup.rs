//! A strict reader of markup, for tests: what it takes, every browser reads the same way.

/// An element's name, its attributes, and the text before its first child.
pub(crate) type Element = (String, String, String);

/// The elements of a document in the order of their starts. Panics unless every tag is closed in turn, attributes are
/// quoted, and no stray character of markup is left.
pub(crate) fn elements(xml: &str) -> Vec<Element> {
    let (mut found, mut open, mut rest) = (Vec::new(), Vec::new(), xml);
    while let Some(start) = rest.find('<') {
        assert!(
            !rest[..start].contains('>'),
            "stray > in {:?}",
            &rest[..start]
        );
        for entity in rest[..start].split('&').skip(1) {
            let name = entity.split(';').next().unwrap();
            assert!(["amp", "lt", "gt", "quot", "#39"].contains(&name), "{name}");
        }
        let end = start + rest[start..].find('>').expect("a tag without end");
        let tag = &rest[start + 1..end];
        assert!(!tag.contains('<'), "{tag}");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name));
        } else {
            let body = tag.trim_end_matches('/');
            let (name, attributes) = body.split_once(' ').unwrap_or((body, ""));
            assert_eq!(attributes.matches('"').count() % 2, 0, "{tag}");
            for attribute in attributes.split("\" ").filter(|a| !a.is_empty()) {
                let (key, value) = attribute.split_once("=\"").expect(attribute);
                assert!(
                    key.chars().all(|c| c.is_ascii_alphabetic() || c == '-'),
                    "{key}"
                );
                assert!(!value.trim_end_matches('"').contains('"'), "{attribute}");
            }
            let inner = rest[end + 1..].split('<').next().unwrap_or_default();
            found.push((name.to_owned(), attributes.to_owned(), inner.to_owned()));
            if !tag.ends_with('/') {
                open.push(name.to_owned());
            }
        }
        rest = &rest[end + 1..];
    }
    assert!(
        open.is_empty() && rest.trim().is_empty(),
        "{open:?} {rest:?}"
    );
    assert!(xml.chars().all(|c| c >= ' ' || c == '\n' || c == '\t'));
    found
}
