//! From the tables to JSON Schema, draft 7.

use serde_json::{Map, Value, json};

use super::{Document, Field, Form, Shape};

/// A duration as [`crate::time::parse_duration`] reads it: units from the longest to the shortest.
const DURATION: &str = r"^\s*(?=[0-9])([0-9.]+w)?([0-9.]+d)?([0-9.]+h)?([0-9.]+m(?!s))?([0-9.]+s)?([0-9.]+ms)?\s*$";

/// What a text may be where `{{ }}` is refused, as far as a pattern can say it: anything with something in it.
const NOT_EMPTY: &str = r"\S";

pub(super) fn schema(document: Document) -> Value {
    let shapes = document.shapes();
    let mut definitions = Map::new();
    for shape in shapes {
        definitions.insert(shape.name.to_owned(), object(shape));
    }
    // The first shape is the document itself.
    let root = shapes.first().map(|shape| reference(shape.name));
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": format!("Piton {}", shapes.first().map_or("", |shape| shape.name)),
        "allOf": [root],
        "definitions": definitions,
    })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/definitions/{}", name.replace(' ', "%20")) })
}

fn object(shape: &Shape) -> Value {
    let properties: Map<String, Value> =
        shape.fields.iter().map(|field| (field.name.to_owned(), property(field))).collect();
    let required: Vec<&str> = shape.fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    let mut object = json!({
        "type": "object",
        "description": shape.help,
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    if !shape.one_of.is_empty() {
        object["oneOf"] = shape.one_of.iter().map(|name| json!({ "required": [name] })).collect();
    }
    object
}

fn property(field: &Field) -> Value {
    let mut value = form(&field.form);
    // Beside a `$ref` draft 7 ignores everything else.
    if value.get("$ref").is_some() {
        value = json!({ "allOf": [value] });
    }
    value["description"] = field.help.into();
    value
}

fn form(form: &Form) -> Value {
    // A scalar is a text wherever text is wanted, also where it looks like a number.
    let text = json!(["string", "number", "boolean"]);
    match form {
        Form::Text | Form::Template | Form::Expression => json!({ "type": text }),
        Form::Script => json!({ "type": text, "pattern": NOT_EMPTY }),
        Form::Matching(pattern) => json!({ "type": text, "pattern": pattern }),
        Form::Duration => json!({ "type": "string", "pattern": DURATION }),
        Form::Boolean => json!({ "type": "boolean" }),
        Form::Integer(min, max) => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Form::Number(min, max) => json!({ "type": "number", "minimum": min, "maximum": max }),
        Form::Word(words) => json!({ "enum": words() }),
        Form::Any => json!({}),
        Form::Maybe(inner) => json!({ "anyOf": [{ "type": "null" }, self::form(inner)] }),
        Form::List(inner) => json!({ "type": "array", "items": self::form(inner) }),
        Form::OneOrMore(inner) => {
            let one = self::form(inner);
            json!({ "anyOf": [one, { "type": "array", "items": one }] })
        }
        Form::Map(names, inner) => json!({
            "type": "object", "propertyNames": { "pattern": names }, "additionalProperties": self::form(inner),
        }),
        Form::Shape(name) => reference(name),
        Form::Either(forms) => json!({ "anyOf": forms.iter().map(self::form).collect::<Vec<_>>() }),
    }
}
