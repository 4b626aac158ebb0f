//! Disks that are files, and the loss of their power: what a test needs to see what a crash leaves behind.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::path::{Path, PathBuf};

/// A block device whose content is a file. The kernel takes it away when neither this nor a mount holds it any more.
#[derive(Debug)]
pub struct LoopDevice {
    path: PathBuf,
    _device: File,
}

/// `struct loop_info64` of the kernel's interface.
#[repr(C)]
#[derive(Default)]
struct Info {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    names: [[u64; 8]; 2],
    encrypt_key: [u64; 4],
    init: [u64; 2],
}

/// `struct loop_config` of the kernel's interface.
#[repr(C)]
#[derive(Default)]
struct Configuration {
    file: u32,
    block_size: u32,
    info: Info,
    reserved: [u64; 8],
}

const AUTOCLEAR: u32 = 4;

mod control {
    nix::ioctl_none_bad!(free_device, 0x4c82);
    nix::ioctl_write_ptr_bad!(configure, 0x4c0a, super::Configuration);
    // The kernel reads what it calls a value to be read.
    nix::ioctl_read!(shut_down, b'X', 125, u32);
}

impl LoopDevice {
    /// Makes a block device of a file. Needs root.
    ///
    /// # Errors
    /// When there are no loop devices or they are not ours to use.
    pub fn attach(file: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(file)?;
        let control = OpenOptions::new().read(true).write(true).open("/dev/loop-control")?;
        loop {
            // SAFETY: the call takes no argument and the descriptor is open.
            let number = unsafe { control::free_device(control.as_raw_fd()) }?;
            let path = PathBuf::from(format!("/dev/loop{number}"));
            let device = OpenOptions::new().read(true).write(true).open(&path)?;
            match configure(device.as_raw_fd(), file.as_raw_fd()) {
                Ok(()) => return Ok(Self { path, _device: device }),
                // Someone else was faster.
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The device's file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn configure(device: RawFd, file: RawFd) -> io::Result<()> {
    let file = u32::try_from(file).map_err(|_| io::ErrorKind::InvalidInput)?;
    let info = Info { flags: AUTOCLEAR, ..Info::default() };
    let configuration = Configuration { file, info, ..Configuration::default() };
    // SAFETY: both descriptors are open for the whole call, and the structure has the layout the kernel reads.
    unsafe { control::configure(device, &raw const configuration) }?;
    Ok(())
}

/// Stops an ext4 filesystem as the loss of power would: nothing that is not on the disk yet gets there any more, the
/// journal included. Every later access fails until it is mounted anew.
///
/// # Errors
/// When `path` is not on a filesystem that can do this, or without root.
pub fn cut_power(path: &Path) -> io::Result<()> {
    const WITHOUT_FLUSH: u32 = 2;
    let folder = File::open(path)?;
    let mut how = WITHOUT_FLUSH;
    // SAFETY: the kernel reads one number, which lives until the call is over; the descriptor is open.
    unsafe { control::shut_down(folder.as_raw_fd(), &raw mut how) }?;
    Ok(())
}
