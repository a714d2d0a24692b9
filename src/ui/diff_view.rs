//! What differs between two texts, line by line.

/// One line of a comparison.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// In both, beside a difference.
    Same(&'a str),
    /// Only in the first.
    Gone(&'a str),
    /// Only in the second.
    New(&'a str),
    /// So many lines that are in both and not shown.
    Folded(usize),
}

/// Lines around a difference that are shown although they are the same.
const AROUND: usize = 2;

/// The shortest way from one text to another, with what is equal and far from any difference folded.
///
/// Quadratic in the number of lines that differ; what a plan compares are configuration files.
pub fn compare<'a>(from: &'a str, to: &'a str) -> Vec<Line<'a>> {
    let (from, to): (Vec<&str>, Vec<&str>) = (from.lines().collect(), to.lines().collect());
    let head = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let tail = from[head..].iter().rev().zip(to[head..].iter().rev()).take_while(|(a, b)| a == b).count();
    let mut lines: Vec<Line> = from[..head].iter().map(|line| Line::Same(line)).collect();
    lines.extend(middle(&from[head..from.len() - tail], &to[head..to.len() - tail]));
    lines.extend(from[from.len() - tail..].iter().map(|line| Line::Same(line)));
    fold(lines)
}

/// The longest common subsequence, by dynamic programming.
fn middle<'a>(from: &[&'a str], to: &[&'a str]) -> Vec<Line<'a>> {
    let width = to.len() + 1;
    let mut common = vec![0u32; (from.len() + 1) * width];
    for i in (0..from.len()).rev() {
        for j in (0..to.len()).rev() {
            common[i * width + j] = if from[i] == to[j] {
                common[(i + 1) * width + j + 1] + 1
            } else {
                common[(i + 1) * width + j].max(common[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < from.len() || j < to.len() {
        if i < from.len() && j < to.len() && from[i] == to[j] {
            lines.push(Line::Same(from[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == to.len() || (i < from.len() && common[(i + 1) * width + j] >= common[i * width + j + 1]) {
            lines.push(Line::Gone(from[i]));
            i += 1;
        } else {
            lines.push(Line::New(to[j]));
            j += 1;
        }
    }
    lines
}

fn fold(lines: Vec<Line<'_>>) -> Vec<Line<'_>> {
    let near: Vec<bool> = (0..lines.len())
        .map(|at| {
            let from = at.saturating_sub(AROUND);
            let to = (at + AROUND + 1).min(lines.len());
            lines[from..to].iter().any(|line| !matches!(line, Line::Same(_)))
        })
        .collect();
    let mut folded: Vec<Line> = Vec::new();
    for (line, near) in lines.into_iter().zip(near) {
        if near {
            folded.push(line);
        } else if let Some(Line::Folded(count)) = folded.last_mut() {
            *count += 1;
        } else {
            folded.push(Line::Folded(1));
        }
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_and_its_surroundings_are_shown() {
        let from = "a\nb\nc\nd\ne\nf\ng\nh";
        let to = "a\nb\nc\nd\nE\nf\ng\nh\ni";
        assert_eq!(
            compare(from, to),
            [
                Line::Folded(2),
                Line::Same("c"),
                Line::Same("d"),
                Line::Gone("e"),
                Line::New("E"),
                Line::Same("f"),
                Line::Same("g"),
                Line::Same("h"),
                Line::New("i"),
            ]
        );
    }

    #[test]
    fn equal_and_empty_texts_have_no_difference() {
        assert_eq!(compare("", ""), []);
        assert_eq!(compare("a\nb", "a\nb"), [Line::Folded(2)]);
        assert_eq!(compare("", "a"), [Line::New("a")]);
    }
}
