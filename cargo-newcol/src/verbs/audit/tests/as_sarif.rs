//! Findings as SARIF 2.1.0.

use super::*;

#[test]
fn sarif_is_what_its_schema_demands() {
    let document: serde_json::Value = serde_json::from_str(&with(sarif::document)).unwrap();
    let mut metadata = cargo_metadata::MetadataCommand::new();
    let metadata = metadata.current_dir(env!("CARGO_MANIFEST_DIR")).exec().unwrap();
    let shipped = metadata.packages.iter().find(|p| p.name.as_str() == "serde-sarif").unwrap();
    let path = shipped.manifest_path.with_file_name("src").join("schema.json");
    let schema: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut compiler = boon::Compiler::new();
    compiler.add_resource("sarif.json", schema).unwrap();
    let mut schemas = boon::Schemas::new();
    let schema = compiler.compile("sarif.json", &mut schemas).unwrap();
    let valid = |document: &serde_json::Value| match schemas.validate(document, schema) {
        Ok(()) => String::new(),
        Err(error) => format!("{error:#}"),
    };
    assert_eq!(valid(&document), "");
    for (path, wrong) in [
        ("/runs/0/results/0/level", "silent".into()),
        ("/runs/0/results/0/locations/0/physicalLocation/region/startLine", 0.into()),
        ("/runs/0/results/2/suppressions/0/kind", "file".into()),
        ("/runs/0/results/0/fixes/0/artifactChanges/0/replacements", serde_json::json!([])),
    ] {
        let mut broken = document.clone();
        *broken.pointer_mut(path).unwrap() = wrong;
        assert_ne!(valid(&broken), "", "{path} is not looked at");
    }
}

#[test]
fn sarif_of_a_report() {
    let mut document: serde_json::Value = serde_json::from_str(&with(sarif::document)).unwrap();
    let driver = &mut document["runs"][0]["tool"]["driver"];
    let rules = driver["rules"].as_array_mut().unwrap();
    assert_eq!(rules.len(), newcol_core::audit::rules::RULES.len());
    // One is enough to see their form, without the text that grows.
    rules.retain(|rule| rule["id"] == "NC009");
    rules[0]["help"] = serde_json::Value::Null;
    driver["semanticVersion"] = "[RELEASE]".into();
    insta::assert_snapshot!(serde_json::to_string_pretty(&document).unwrap(), @r##"
    {
      "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
      "runs": [
        {
          "columnKind": "unicodeCodePoints",
          "invocations": [
            {
              "executionSuccessful": true,
              "toolExecutionNotifications": [
                {
                  "level": "warning",
                  "locations": [
                    {
                      "physicalLocation": {
                        "artifactLocation": {
                          "uri": "services/app/seed.sql"
                        },
                        "region": {
                          "endColumn": 33,
                          "endLine": 2,
                          "startColumn": 14,
                          "startLine": 2
                        }
                      }
                    }
                  ],
                  "message": {
                    "text": "the comment gives no reason, and acknowledges nothing without one"
                  }
                }
              ]
            }
          ],
          "results": [
            {
              "fixes": [
                {
                  "artifactChanges": [
                    {
                      "artifactLocation": {
                        "uri": "services/app/src/a%20b.rs"
                      },
                      "replacements": [
                        {
                          "deletedRegion": {
                            "endColumn": 19,
                            "endLine": 3,
                            "startColumn": 19,
                            "startLine": 3
                          },
                          "insertedContent": {
                            "text": ", Selectable"
                          }
                        },
                        {
                          "deletedRegion": {
                            "endColumn": 1,
                            "endLine": 4,
                            "startColumn": 1,
                            "startLine": 4
                          },
                          "insertedContent": {
                            "text": "#[diesel(table_name = users)]\n"
                          }
                        }
                      ]
                    }
                  ],
                  "description": {
                    "text": "derive `Selectable`"
                  }
                }
              ],
              "level": "error",
              "locations": [
                {
                  "physicalLocation": {
                    "artifactLocation": {
                      "uri": "services/app/src/a%20b.rs"
                    },
                    "region": {
                      "endColumn": 12,
                      "endLine": 4,
                      "startColumn": 1,
                      "startLine": 3
                    }
                  }
                }
              ],
              "message": {
                "text": "`User` is read by position and has no field for `locale`"
              },
              "partialFingerprints": {
                "newcolLine/v1": "a97c5e0239727c1a"
              },
              "properties": {
                "class": "compile",
                "due": "expand"
              },
              "ruleId": "NC001",
              "ruleIndex": 0,
              "suppressions": []
            },
            {
              "level": "error",
              "locations": [
                {
                  "physicalLocation": {
                    "artifactLocation": {
                      "uri": "services/app/src/a%20b.rs"
                    },
                    "region": {
                      "endColumn": 45,
                      "endLine": 9,
                      "startColumn": 5,
                      "startLine": 9
                    }
                  }
                }
              ],
              "message": {
                "text": "every write resets `locale` to its default: 100% lost\nhelp: write `insert_into` with `on_conflict`"
              },
              "partialFingerprints": {
                "newcolLine/v1": "64a8bf7ca699486f"
              },
              "properties": {
                "class": "silent",
                "due": "constrain"
              },
              "ruleId": "NC009",
              "ruleIndex": 8,
              "suppressions": []
            },
            {
              "level": "error",
              "locations": [
                {
                  "physicalLocation": {
                    "artifactLocation": {
                      "uri": "services/app/seed.sql"
                    },
                    "region": {
                      "endColumn": 30,
                      "endLine": 1,
                      "startColumn": 1,
                      "startLine": 1
                    }
                  }
                }
              ],
              "message": {
                "text": "the columns are not listed"
              },
              "partialFingerprints": {
                "newcolLine/v1": "7d45dd9a59e81cc6"
              },
              "properties": {
                "class": "runtime",
                "due": "expand"
              },
              "ruleId": "NC105",
              "ruleIndex": 26,
              "suppressions": [
                {
                  "kind": "external"
                }
              ]
            },
            {
              "level": "error",
              "locations": [
                {
                  "logicalLocations": [
                    {
                      "fullyQualifiedName": "view active_users",
                      "kind": "resource"
                    }
                  ]
                }
              ],
              "message": {
                "text": "it does not show `locale`"
              },
              "partialFingerprints": {
                "newcolLine/v1": "05102e2e4c932705"
              },
              "properties": {
                "class": "silent",
                "due": "contract"
              },
              "ruleId": "NC110",
              "ruleIndex": 31,
              "suppressions": [
                {
                  "justification": "nobody reads it",
                  "kind": "inSource"
                }
              ]
            },
            {
              "level": "warning",
              "locations": [
                {
                  "physicalLocation": {
                    "artifactLocation": {
                      "uri": "services/app/odd.sql"
                    },
                    "region": {
                      "endColumn": 1,
                      "endLine": 1,
                      "startColumn": 1,
                      "startLine": 1
                    }
                  }
                }
              ],
              "message": {
                "text": "the file was left out: it is not UTF-8"
              },
              "partialFingerprints": {
                "newcolLine/v1": "2cac74a73cac007c"
              },
              "properties": {
                "class": "unknown",
                "due": "expand"
              },
              "ruleId": "NC203",
              "ruleIndex": 47,
              "suppressions": []
            }
          ],
          "tool": {
            "driver": {
              "informationUri": "https://github.com/cargo-newcol/cargo-newcol",
              "name": "cargo-newcol",
              "rules": [
                {
                  "defaultConfiguration": {
                    "level": "error"
                  },
                  "help": null,
                  "id": "NC009",
                  "name": "ReplaceInto",
                  "properties": {
                    "class": "silent",
                    "tags": [
                      "database"
                    ]
                  },
                  "shortDescription": {
                    "text": "replace-into"
                  }
                }
              ],
              "semanticVersion": "[RELEASE]"
            }
          }
        }
      ],
      "version": "2.1.0"
    }
    "##);
}
