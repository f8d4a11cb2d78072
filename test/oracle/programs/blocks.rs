// A Rust program whose threads wait in several ways. Usage: blocks READY-FILE
use std::hint::black_box;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

#[derive(Clone, Copy, Debug)]
pub enum Color {
    Red = 3,
    Green = 9,
}

#[derive(Clone, Debug)]
pub enum Order {
    Stop,
    Turn { by: i32, fast: bool },
    Name(u16),
}

#[derive(Clone, Copy, Debug)]
pub struct Point {
    pub x: i64,
    pub y: u8,
}

pub trait Worker {
    fn run(&self, amount: u32) -> u32;
}

pub struct Pump {
    pub id: u32,
}

impl Worker for Pump {
    #[inline(never)]
    fn run(&self, amount: u32) -> u32 {
        std::thread::sleep(Duration::from_secs(3600));
        black_box(self.id) + black_box(amount)
    }
}

#[inline(never)]
pub fn wait_read(word: &str, color: Color, order: Order, point: Point) -> usize {
    let (mut here, there) = UnixStream::pair().unwrap();
    let mut buffer = [0u8; 4];
    let n = here.read(&mut buffer).unwrap_or(0);
    black_box(&there);
    n + word.len() + color as usize + black_box(&order as *const Order as usize) + point.y as usize
}

#[inline(never)]
pub fn wait_cond<T: Copy + Into<i64>>(value: T, numbers: &[i32], maybe: Option<u32>, pair: (i16, bool)) -> i64 {
    let lock = Mutex::new(false);
    let cond = Condvar::new();
    let guard = lock.lock().unwrap();
    let guard = cond.wait_while(guard, |ready| !*ready).unwrap();
    black_box(*guard);
    value.into() + numbers.len() as i64 + black_box(maybe).unwrap_or(1) as i64 + pair.0 as i64
}

#[inline(never)]
pub fn deeper(depth: u64, total: f64, wide: u128) -> f64 {
    if depth == 0 {
        std::thread::sleep(Duration::from_secs(3600));
        return black_box(total);
    }
    let r = deeper(depth - 1, total + 0.5, wide + 1);
    black_box(wide);
    r + black_box(depth) as f64
}

fn main() {
    let ready = std::env::args().nth(1).expect("READY-FILE");
    let pump = Arc::new(Pump { id: 7 });
    let mut threads = Vec::new();
    threads.push(std::thread::spawn(move || { let worker: Box<dyn Worker> = Box::new(Pump { id: pump.id }); worker.run(12) as usize }));
    threads.push(std::thread::spawn(|| wait_read("hello", Color::Green, Order::Turn { by: -4, fast: true }, Point { x: -5, y: 200 })));
    threads.push(std::thread::spawn(|| wait_read("bye", Color::Red, Order::Name(77), Point { x: 5, y: 1 })));
    threads.push(std::thread::spawn(|| wait_read("", Color::Red, Order::Stop, Point { x: 0, y: 0 })));
    threads.push(std::thread::spawn(|| wait_cond(33i32, &[1, -2, 3], Some(5), (-6, true)) as usize));
    threads.push(std::thread::spawn(|| wait_cond(-1i64, &[], None, (1, false)) as usize));
    threads.push(std::thread::spawn(|| deeper(12, 1.25, 1 << 100) as usize));
    std::thread::sleep(Duration::from_millis(150));
    std::fs::write(&ready, format!("{}\n", std::process::id())).unwrap();
    for thread in threads {
        black_box(thread.join().unwrap());
    }
}
