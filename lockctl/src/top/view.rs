//! The frame.

use super::screen::{QueueRow, Screen, ServerRow};
use crate::text::span;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Style, Stylize};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Cell, Row, Table};
use std::time::Duration;

/// The lines beside the rows of both tables: a title, an error, two heads, a space and the keys.
const OTHER_LINES: usize = 7;

/// How high a frame has to be to show all.
pub fn height(screen: &Screen) -> u16 {
    let rows = screen.servers.len() + screen.queues.len().max(1);
    u16::try_from(rows + OTHER_LINES).unwrap_or(u16::MAX)
}

/// Draws it.
pub fn draw(frame: &mut Frame<'_>, screen: &Screen) {
    let servers = u16::try_from(screen.servers.len() + 1).unwrap_or(u16::MAX);
    let [title, error, heads, _, queues, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        // With many servers, the queues keep a place.
        Constraint::Max(servers),
        Constraint::Length(1),
        Constraint::Min(3),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    let paused = if screen.paused { "  PAUSED" } else { "" };
    let every = screen.interval.as_secs_f64();
    let about = format!(
        "lockctl top  every {every} s  by {}{paused}",
        screen.sort.name()
    );
    frame.render_widget(Line::from(about).bold(), title);
    if let Some(text) = &screen.error {
        frame.render_widget(Line::from(text.as_str()).red(), error);
    }
    frame.render_widget(server_table(&screen.servers), heads);
    frame.render_widget(queue_table(screen), queues);
    frame.render_widget(Line::from("q quit  p pause  s sort").dim(), keys);
}

fn server_table(servers: &[ServerRow]) -> Table<'static> {
    let head = [
        "SERVER",
        "SESSIONS",
        "WAITERS",
        "QUEUES",
        "ACQUIRED/S",
        "WAITS/S",
        "HANDED/S",
        "P50",
        "P99",
        "P999",
        "LONGEST",
        "GRACE",
    ];
    let rows = servers.iter().map(|server| {
        let address = Cell::from(server.address.clone());
        let Some(numbers) = &server.numbers else {
            // Why is said above the table.
            return Row::new([address, Cell::from("down").red()]);
        };
        let [p50, p99, p999, longest] = numbers.quantiles;
        let mut cells = vec![address];
        cells.extend(
            [numbers.sessions, numbers.waiters, numbers.queues].map(|n| right(n.to_string())),
        );
        cells.extend([numbers.acquired, numbers.waits, numbers.handed_over].map(rate));
        cells.extend([p50, p99, p999, longest].map(time));
        cells.push(match numbers.grace {
            Duration::ZERO => right("-".to_owned()),
            grace => time(grace).yellow(),
        });
        Row::new(cells)
    });
    let widths = [8, 8, 8, 10, 9, 9, 8, 8, 8, 8, 8];
    let widths = [Constraint::Fill(1)]
        .into_iter()
        .chain(widths.map(Constraint::Length));
    Table::new(rows, widths).header(header(&head, 1))
}

fn queue_table(screen: &Screen) -> Table<'static> {
    let mut head = vec![
        "LOCK", "HOLDER", "NEXT", "SESSION", "WAITERS", "LONGEST", "HELD", "LEFT",
    ];
    let fills = [Constraint::Fill(1); 3];
    let lengths = [8; 5].map(Constraint::Length);
    let mut widths: Vec<Constraint> = fills.into_iter().chain(lengths).collect();
    // Of one server it is known where a queue is.
    let with_server = screen.servers.len() > 1;
    if with_server {
        head.insert(3, "SERVER");
        widths.insert(3, Constraint::Fill(1));
    }
    let mut rows: Vec<Row<'_>> = screen
        .queues
        .iter()
        .map(|queue| queue_row(queue, with_server))
        .collect();
    if rows.is_empty() {
        rows.push(Row::new(["nobody waits"]));
    }
    Table::new(rows, widths).header(header(&head, if with_server { 4 } else { 3 }))
}

fn queue_row(queue: &QueueRow, with_server: bool) -> Row<'static> {
    let mut cells: Vec<Cell<'_>> = [&queue.lock, &queue.holder, &queue.first]
        .map(|text| text.clone().into())
        .into();
    if with_server {
        cells.push(queue.server.clone().into());
    }
    cells.extend([
        right(if queue.session { "yes" } else { "no" }.to_owned()),
        right(queue.waiters.to_string()),
        time(queue.longest),
        queue.held.map_or_else(|| right("-".to_owned()), time),
        time(queue.left),
    ]);
    Row::new(cells)
}

/// A head whose columns from there on are aligned to the right, as numbers are.
fn header(head: &[&'static str], from: usize) -> Row<'static> {
    let cells = head.iter().enumerate().map(|(n, title)| match n < from {
        true => Cell::from(*title),
        false => right((*title).to_owned()),
    });
    Row::new(cells).style(Style::new().bold().reversed())
}

fn right(text: String) -> Cell<'static> {
    Cell::from(Text::from(text).right_aligned())
}

fn time(time: Duration) -> Cell<'static> {
    right(span(time))
}

fn rate(rate: Option<f64>) -> Cell<'static> {
    right(rate.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.1}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::top::screen::Numbers;

    fn screen() -> Screen {
        let numbers = Numbers {
            sessions: 2,
            waiters: 3,
            queues: 1,
            acquired: Some(0.5),
            waits: None,
            handed_over: Some(12.0),
            quantiles: [3, 40, 500, 6000].map(Duration::from_millis),
            grace: Duration::from_secs(30),
        };
        Screen {
            interval: Duration::from_secs(1),
            servers: vec![
                ServerRow {
                    address: "127.0.0.1:7000".to_owned(),
                    numbers: Some(numbers),
                },
                ServerRow {
                    address: "127.0.0.1:7001".to_owned(),
                    numbers: None,
                },
            ],
            queues: vec![QueueRow {
                lock: "lock:orders".to_owned(),
                holder: "worker-1".to_owned(),
                held: Some(Duration::from_secs(125)),
                left: Duration::from_millis(28_700),
                session: true,
                waiters: 3,
                longest: Duration::from_secs(4),
                first: "worker-2".to_owned(),
                server: "127.0.0.1:7000".to_owned(),
            }],
            ..Screen::default()
        }
    }

    fn lines(screen: &Screen) -> Vec<String> {
        let text = crate::top::text(screen);
        text.map(|text| text.lines().map(str::to_owned).collect())
            .unwrap_or_default()
    }

    #[test]
    fn a_frame_shows_servers_queues_and_keys() {
        let lines = lines(&screen());
        let words = |n: usize| lines[n].split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words(0), "lockctl top every 1 s by waiters");
        assert_eq!(
            words(3),
            "127.0.0.1:7000 2 3 1 0.5 - 12.0 3 ms 40 ms 500 ms 6.0 s 30.0 s"
        );
        assert_eq!(words(4), "127.0.0.1:7001 down");
        assert_eq!(
            words(6),
            "LOCK HOLDER NEXT SERVER SESSION WAITERS LONGEST HELD LEFT"
        );
        assert_eq!(
            words(7),
            "lock:orders worker-1 worker-2 127.0.0.1:7000 yes 3 4.0 s 2m 05s 28.7 s"
        );
        assert_eq!(
            lines.last().map(String::as_str),
            Some("q quit  p pause  s sort")
        );
    }

    #[test]
    fn a_frame_says_that_it_is_paused_and_what_failed() {
        let mut screen = screen();
        screen.paused = true;
        screen.error = Some("no server answered".to_owned());
        let lines = lines(&screen);
        assert!(lines[0].ends_with("PAUSED"));
        assert_eq!(lines[1], "no server answered");
    }

    #[test]
    fn a_frame_without_a_queue_says_so() {
        let screen = Screen {
            queues: Vec::new(),
            ..screen()
        };
        assert_eq!(lines(&screen)[7], "nobody waits");
    }
}
