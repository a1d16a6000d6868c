//! A rehearsal as JUnit XML, one test case per moment and scene.

use camino::Utf8Path;
use newcol_core::execute::files;
use newcol_testkit::{
    matrix::MomentReport,
    rehearse::{RehearsalReport, Scene},
};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::error::CliError;

/// Writes the file; its directory must exist.
pub(super) fn write(path: &Utf8Path, rehearsals: &[RehearsalReport]) -> Result<(), CliError> {
    let mut report = Report::new("cargo newcol rehearse");
    report.add_test_suites(rehearsals.iter().map(suite));
    let text = report.to_string().map_err(|error| CliError::failed(error.to_string()))?;
    Ok(files::write_report(path, &text)?)
}

fn suite(rehearsal: &RehearsalReport) -> TestSuite {
    let matrix = &rehearsal.matrix;
    let mut suite = TestSuite::new(format!("{} on {}", matrix.column, matrix.server));
    let broken = matrix.broken();
    for MomentReport { moment, .. } in &matrix.moments {
        let faults: Vec<String> =
            broken.iter().filter(|b| b.moment == *moment).map(ToString::to_string).collect();
        suite.add_test_case(case(&format!("{}: {moment}", Scene::Matrix.name()), &faults));
    }
    let faults = rehearsal.faults();
    let mut scenes = vec![Scene::Laws, Scene::Traffic];
    if !rehearsal.old_release.is_empty() {
        scenes.push(Scene::OldRelease);
    }
    for scene in scenes {
        let faults: Vec<String> =
            faults.iter().filter(|f| f.scene == scene).map(|f| f.what.clone()).collect();
        suite.add_test_case(case(scene.name(), &faults));
    }
    suite
}

fn case(name: &str, faults: &[String]) -> TestCase {
    let status = match faults {
        [] => TestCaseStatus::success(),
        [first, ..] => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(first.clone()).set_description(faults.join("\n"));
            status
        }
    };
    TestCase::new(name, status)
}
