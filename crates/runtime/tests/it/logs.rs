//! Output becomes CRI lines, and none of it gets lost.

use std::fs;

use crate::world::World;

pub(crate) async fn lines_come_in_order_with_their_streams() {
    let world = World::new();
    let sandbox = world.sandbox().await;
    let script = "echo one; usleep 100000; echo two >&2; usleep 100000; echo $TEXT; echo -n end";
    let mut spec = world.script("main", script);
    let long = "x".repeat(20_000);
    spec.env = vec![("TEXT".into(), long.clone())];
    let (exit, _) = world.run(&sandbox, spec).await;
    assert_eq!(exit.code, 0);
    let text = fs::read_to_string(world.log("main")).unwrap();
    let entries: Vec<(&str, &str)> = text.lines().map(|line| line.split_once(' ').unwrap()).collect();
    let bodies: Vec<&str> = entries.iter().map(|(_, body)| *body).collect();
    let (head, tail) = long.split_at(16 << 10);
    assert_eq!(
        bodies,
        ["stdout F one", "stderr F two", &format!("stdout P {head}"), &format!("stdout F {tail}"), "stdout P end"]
    );
    for (time, _) in &entries {
        assert_eq!(time.len(), "2026-01-01T00:00:00.000000000Z".len());
        time.parse::<jiff::Timestamp>().unwrap();
    }
    assert!(entries.is_sorted_by_key(|(time, _)| *time));
    world.finish(&[sandbox]).await;
}

pub(crate) async fn rotation_loses_nothing() {
    let world = World::new();
    let sandbox = world.sandbox().await;
    let mut spec = world.script("main", "seq 1 20000");
    let log = spec.log.as_mut().unwrap();
    (log.max_size, log.max_files) = (100_000, 50);
    let (exit, _) = world.run(&sandbox, spec).await;
    assert_eq!(exit.code, 0);
    let file = |number: u32| match number {
        0 => world.log("main"),
        number => format!("{}.{number}", world.log("main").display()).into(),
    };
    let numbers: Vec<u32> = (0..50).take_while(|number| file(*number).exists()).collect();
    assert!(numbers.len() > 5, "{numbers:?}");
    let mut expected = 1;
    for number in numbers.into_iter().rev() {
        let text = fs::read_to_string(file(number)).unwrap();
        assert!(text.len() < 101_000);
        for line in text.lines() {
            assert_eq!(line.split(' ').nth(3).unwrap(), expected.to_string());
            expected += 1;
        }
    }
    assert_eq!(expected, 20_001);
    world.finish(&[sandbox]).await;
}
