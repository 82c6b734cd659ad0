//! `lockctl top`: the wait queues, live.

mod sample;
mod screen;
mod view;

use crate::args::Top;
use crate::print;
use crate::servers::Target;
use crate::status::Failure;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use sample::{Sample, Watcher};
use screen::Screen;
use std::io::IsTerminal;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, sleep_until};

/// How wide a frame is that is printed as text, unless COLUMNS says otherwise.
const WIDTH: u16 = 140;

/// Shows them until q, or one frame.
pub async fn top(target: Target, args: Top) -> Result<u8, Failure> {
    // A server that is not there from the start is most likely a mistake.
    target.reach().await?;
    let mut watcher = Watcher::new(target, args.count);
    let first = watcher.sample().await;
    if args.once || !std::io::stdout().is_terminal() {
        let due = Instant::now() + args.interval;
        sleep_until(due).await;
        let screen = Screen::new(args.interval, Some(&first), &watcher.sample().await);
        print(&text(&screen)?)?;
        return match screen.error {
            Some(error) => Err(Failure(error)),
            None => Ok(0),
        };
    }
    let failed = |error| Failure(format!("cannot use the terminal: {error}"));
    let mut terminal = ratatui::try_init().map_err(failed)?;
    let outcome = live(&mut terminal, watcher, first, args.interval).await;
    ratatui::restore();
    outcome.map_err(failed)
}

async fn live(
    terminal: &mut ratatui::DefaultTerminal,
    mut watcher: Watcher,
    first: Sample,
    interval: Duration,
) -> std::io::Result<u8> {
    let mut events = events();
    let mut terminated = signal(SignalKind::terminate())?;
    let mut hung_up = signal(SignalKind::hangup())?;
    let mut screen = Screen::new(interval, None, &first);
    let mut last = first;
    let mut due = Instant::now() + interval;
    loop {
        terminal.draw(|frame| view::draw(frame, &screen))?;
        let sampled = async {
            sleep_until(due).await;
            watcher.sample().await
        };
        tokio::select! {
            biased;
            event = events.recv() => match event {
                Some(event) if !screen.is_to_quit(&event) => screen.on(&event),
                _ => return Ok(0),
            },
            _ = terminated.recv() => return Ok(0),
            _ = hung_up.recv() => return Ok(0),
            sample = sampled, if !screen.paused => {
                screen.show(Some(&last), &sample);
                last = sample;
                due = Instant::now() + interval;
            }
        }
    }
}

/// The keys, and changes of the size. The thread ends with the process.
fn events() -> UnboundedReceiver<Event> {
    let (sender, receiver) = unbounded_channel();
    std::thread::spawn(move || {
        while let Ok(event) = event::read() {
            if sender.send(event).is_err() {
                return;
            }
        }
    });
    receiver
}

impl Screen {
    fn is_to_quit(&self, event: &Event) -> bool {
        let Event::Key(key) = event else {
            return false;
        };
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => true,
            KeyCode::Char('c') => key.modifiers.contains(KeyModifiers::CONTROL),
            _ => false,
        }
    }

    fn on(&mut self, event: &Event) {
        let Event::Key(key) = event else {
            return;
        };
        match key.code {
            _ if key.kind == KeyEventKind::Release => (),
            KeyCode::Char('p' | ' ') => self.paused = !self.paused,
            KeyCode::Char('s') => self.sort_by(self.sort.next()),
            _ => (),
        }
    }
}

/// A frame as text.
fn text(screen: &Screen) -> Result<String, Failure> {
    let columns = std::env::var("COLUMNS")
        .ok()
        .and_then(|columns| columns.parse().ok());
    let width = columns
        .filter(|columns| (40..=1000).contains(columns))
        .unwrap_or(WIDTH);
    let failed = |error: &dyn std::fmt::Display| Failure(format!("cannot draw: {error}"));
    let mut terminal = Terminal::new(TestBackend::new(width, view::height(screen)))
        .map_err(|error| failed(&error))?;
    terminal
        .draw(|frame| view::draw(frame, screen))
        .map_err(|error| failed(&error))?;
    let buffer = terminal.backend().buffer();
    let mut text = String::new();
    for row in buffer.content().chunks(usize::from(width)) {
        let mut skip = 0;
        let mut line = String::new();
        for cell in row {
            // A wide character is followed by a cell that it covers.
            if skip == 0 {
                line.push_str(cell.symbol());
                skip = unicode_width::UnicodeWidthStr::width(cell.symbol()).max(1);
            }
            skip -= 1;
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    Ok(text)
}
