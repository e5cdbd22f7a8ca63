//! A `serde` deserialiser over the tree of values.

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IntoDeserializer, Unexpected, VariantAccess,
    Visitor,
};
use serde::forward_to_deserialize_any;

use crate::fault::{Fault, quoted_list};
use crate::node::{Node, Value};
use crate::origin::Origin;

/// Reads a node of the tree.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'de> {
    node: &'de Node,
    /// The keys that the struct around the node knows, where there is one.
    siblings: &'static [&'static str],
}

impl<'de> Reader<'de> {
    pub(crate) fn new(node: &'de Node) -> Self {
        Reader {
            node,
            siblings: &[],
        }
    }

    /// Passes the value to the visitor, which, should it be a table, knows the keys in `known`.
    fn read<V: Visitor<'de>>(
        self,
        visitor: V,
        known: &'static [&'static str],
    ) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Boolean(boolean) => visitor.visit_bool(*boolean),
            Value::Integer(integer) => visitor.visit_i64(*integer),
            Value::Unsigned(integer) => visitor.visit_u64(*integer),
            Value::HugeInteger(text) => Err(Fault::huge_integer(text, &visitor)),
            Value::Float(float) => visitor.visit_f64(*float),
            Value::String(string) => visitor.visit_borrowed_str(string),
            Value::Datetime(_) => Err(Fault::wrong_type(self.node.described(), &visitor)),
            Value::Array(nodes) => {
                let mut elements = SeqDeserializer::new(nodes.iter().map(Reader::new));
                let value = visitor.visit_seq(&mut elements)?;
                elements.end()?;
                Ok(value)
            }
            Value::Table(table) => {
                let entries = table.iter().map(|(key, node)| {
                    (
                        key.as_str(),
                        Reader {
                            node,
                            siblings: known,
                        },
                    )
                });
                visitor.visit_map(MapDeserializer::new(entries))
            }
        }
    }
}

impl<'de> IntoDeserializer<'de, Fault> for Reader<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Reader<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.read(visitor, &[])
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    /// A derived struct would also take its fields from an array, in order; a file must not.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Array(_) => Err(Fault::invalid_type(Unexpected::Seq, &visitor)),
            _ => self.read(visitor, fields),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::String(name) => visitor.visit_enum(name.as_str().into_deserializer()),
            Value::Table(table) => match table.iter().next() {
                Some((variant, content)) if table.len() == 1 => {
                    let content = Reader::new(content);
                    visitor.visit_enum(Variant { variant, content })
                }
                _ => {
                    let found = format!("table of {} keys", table.len());
                    Err(Fault::wrong_type(found, &"string, or table of one key"))
                }
            },
            _ => {
                let expected = format!("one of {}", quoted_list(variants));
                Err(Fault::wrong_type(self.node.described(), &expected.as_str()))
            }
        }
    }

    /// A type ignores a value when it does not know its key, which is an error in a layer.
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.node.origin == Origin::Default {
            visitor.visit_unit()
        } else {
            // The key is the end of the path at which this is reported.
            Err(Fault::unknown_field("", self.siblings))
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string
        bytes byte_buf unit unit_struct seq tuple tuple_struct map identifier
    }
}

/// An enum's variant that carries data: a table of one key.
struct Variant<'de> {
    variant: &'de str,
    content: Reader<'de>,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Fault;
    type Variant = Reader<'de>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Reader<'de>), Fault> {
        let variant: serde::de::value::StrDeserializer<'_, Fault> =
            self.variant.into_deserializer();
        Ok((seed.deserialize(variant)?, self.content))
    }
}

impl<'de> VariantAccess<'de> for Reader<'de> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        Err(Fault::wrong_type("table".to_owned(), &"string"))
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Fault> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_struct("", fields, visitor)
    }
}
