//! A disk of one's own: an ext4 filesystem in a file, in a mount namespace that nobody else sees, whose power can be cut.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use skiff_linux::disk::{LoopDevice, cut_power};

/// An ext4 filesystem in a file. It is mounted for the calling thread, and what that thread starts, only; dropping it
/// leaves nothing behind but the file.
#[derive(Debug)]
pub struct Disk {
    image: PathBuf,
    target: PathBuf,
    mounted: bool,
}

impl Disk {
    /// Makes and mounts a filesystem of `size` bytes; the file and the mount point are made in `folder`. Moves the
    /// calling thread into a mount namespace of its own. Needs root, loop devices and `mkfs.ext4`.
    ///
    /// # Errors
    /// When any of these is missing: tests then say so and pass over.
    pub fn new(folder: &Path, size: u64) -> io::Result<Self> {
        unshare(CloneFlags::CLONE_NEWNS)?;
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
        let (image, target) = (folder.join("disk.img"), folder.join("disk"));
        File::create(&image)?.set_len(size)?;
        std::fs::create_dir_all(&target)?;
        let made = Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]).arg(&image).stdin(Stdio::null()).status()?;
        if !made.success() {
            return Err(io::Error::other("mkfs.ext4 failed"));
        }
        let mut disk = Self { image, target, mounted: false };
        disk.power_on()?;
        Ok(disk)
    }

    /// The folder where the filesystem is mounted.
    pub fn path(&self) -> &Path {
        &self.target
    }

    /// Cuts the power: what is not on the disk now never gets there. Who uses the filesystem gets errors.
    ///
    /// # Errors
    /// When the kernel cannot do that.
    pub fn cut_power(&self) -> io::Result<()> {
        cut_power(&self.target)
    }

    /// Takes the filesystem out; nobody may use it any more.
    ///
    /// # Errors
    /// When someone still uses it.
    pub fn take_out(&mut self) -> io::Result<()> {
        umount2(&self.target, MntFlags::empty())?;
        self.mounted = false;
        Ok(())
    }

    /// Mounts the filesystem (again), as after a restart of the machine.
    ///
    /// # Errors
    /// When the filesystem cannot be mounted.
    pub fn power_on(&mut self) -> io::Result<()> {
        let device = LoopDevice::attach(&self.image)?;
        mount(Some(device.path()), &self.target, Some("ext4"), MsFlags::empty(), None::<&str>)?;
        self.mounted = true;
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.mounted
            && let Err(error) = umount2(&self.target, MntFlags::MNT_DETACH)
        {
            eprintln!("cannot unmount {}: {error}", self.target.display());
        }
    }
}
