//! PodTemplate: a template that is kept by itself.

use serde_json::Value;

use super::template;
use crate::field_error::{FieldError, Path};
use crate::meta;
use crate::print;
use crate::resource::{Column, Resource, Rules};

pub(super) static POD_TEMPLATES: Resource = Resource {
    kind: "PodTemplate",
    plural: "podtemplates",
    singular: "podtemplate",
    type_name: "io.k8s.api.core.v1.PodTemplate",
    columns: &[
        Column::NAME,
        Column::new("Containers", "The names of the containers."),
        Column::new("Images", "The images of the containers."),
        Column::new("Pod Labels", "The labels of the pods."),
    ],
    rules: Rules {
        default: template::default,
        validate: |object: &Value, errors: &mut Vec<FieldError>| {
            template::check(&object["template"], &Path::new("template"), errors);
        },
        warnings: |object| super::pod::template_warnings_at(&object["template"], &Path::new("template")),
        generation: Some(|new, old| new["template"] != old["template"]),
        cells: |object, _| {
            let template = &object["template"];
            let [names, images] = print::containers(template);
            vec![meta::name(object).into(), names, images, print::labels(&template["metadata"]["labels"])]
        },
        ..Rules::PLAIN
    },
    ..Resource::NAMESPACED
};
