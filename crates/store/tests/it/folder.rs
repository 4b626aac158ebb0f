//! The folder: one server at a time, one format, and damage that is noticed.

use skiff_store::{OpenError, Options, Store};

use crate::{run, store};

#[test]
fn a_second_store_on_the_same_folder_is_refused_until_the_first_is_closed() {
    run(async {
        let (folder, store) = store();
        let error = Store::open(folder.path(), Options::default()).err().unwrap();
        assert!(matches!(&error, OpenError::AlreadyOpen { holder: Some(pid), .. } if *pid == std::process::id()));
        let message = error.to_string();
        assert!(message.contains(&*folder.path().to_string_lossy()), "{message}");
        assert!(message.contains("another skiff server"), "{message}");
        store.close().await.unwrap();
        Store::open(folder.path(), Options::default()).unwrap().close().await.unwrap();
    });
}
