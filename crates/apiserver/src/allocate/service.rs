//! What a Service needs of the pools when it is created, updated and deleted.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use serde_json::{Value, json};

use super::{
    AllocationError, Allocator, families, list_mut, number,
    pool::{Claim, Pool, PoolError, Refused},
};

/// What a write of a Service took and what it will give back.
///
/// Dropped without [`Claims::commit`], everything is as before.
#[must_use]
#[derive(Default)]
pub(crate) struct Claims {
    taken: Vec<Claim>,
    freed: Vec<(Pool, u32)>,
}

impl Claims {
    /// The write is durable.
    pub(crate) fn commit(self) {
        self.taken.into_iter().for_each(Claim::keep);
        for (pool, number) in self.freed {
            pool.release(number);
        }
    }
}

impl Allocator {
    /// Fills in what a new Service gets.
    pub(crate) fn create(&self, service: &mut Value) -> Result<Claims, AllocationError> {
        self.update(service, &json!({"spec": {"type": "ExternalName"}}))
    }

    /// Fills in what a changed Service gets or keeps.
    pub(crate) fn update(&self, service: &mut Value, old: &Value) -> Result<Claims, AllocationError> {
        let mut claims = Claims::default();
        if has_addresses(service) {
            families::fill(&mut service["spec"])?;
        }
        self.addresses(service, old, &mut claims)?;
        self.node_ports(service, old, &mut claims)?;
        self.health_check_port(service, old, &mut claims)?;
        Ok(claims)
    }

    /// Gives back what a deleted Service held.
    pub(crate) fn release(&self, service: &Value) {
        for address in addresses_of(service).into_iter().filter_map(|address| number(&address)) {
            self.addresses.release(address);
        }
        for port in node_ports_of(service).into_iter().chain(health_check_port_of(service)) {
            self.ports.release(port);
        }
    }

    /// Marks what a stored Service holds; returns what another Service held already.
    pub(crate) fn restore(&self, service: &Value) -> Vec<String> {
        let mut doubled = Vec::new();
        for address in addresses_of(service) {
            match number(&address).map(|number| self.addresses.claim(number)) {
                Some(Ok(claim)) => claim.keep(),
                Some(Err(Refused::Taken)) => doubled.push(address),
                Some(Err(Refused::Outside)) | None => {}
            }
        }
        for port in node_ports_of(service).into_iter().chain(health_check_port_of(service)) {
            match self.ports.claim(port) {
                Ok(claim) => claim.keep(),
                Err(Refused::Taken) => doubled.push(port.to_string()),
                Err(Refused::Outside) => {}
            }
        }
        doubled
    }

    fn addresses(&self, service: &mut Value, old: &Value, claims: &mut Claims) -> Result<(), AllocationError> {
        let (held, wanted) = (addresses_of(old), addresses_of(service));
        for address in held.iter().filter(|address| !wanted.contains(address)) {
            claims.freed.extend(number(address).map(|number| (self.addresses.clone(), number)));
        }
        if !has_addresses(service) || is_headless(service) {
            return Ok(());
        }
        if wanted.is_empty() {
            let claim = self.addresses.claim_any().ok_or(AllocationError::NoAddress(PoolError::Full))?;
            let address = Ipv4Addr::from(claim.number()).to_string();
            claims.taken.push(claim);
            service["spec"]["clusterIP"] = json!(address);
            service["spec"]["clusterIPs"] = json!([address]);
            return Ok(());
        }
        for address in wanted.iter().filter(|address| !held.contains(address)) {
            let claim = number(address).map_or(Err(Refused::Outside), |number| self.addresses.claim(number));
            claims.taken.push(claim.map_err(|refused| self.address_error(address, &wanted, &refused))?);
        }
        service["spec"]["clusterIP"] = json!(wanted[0]);
        service["spec"]["clusterIPs"] = json!(wanted);
        Ok(())
    }

    fn address_error(&self, address: &str, all: &[String], refused: &Refused) -> AllocationError {
        let source = match refused {
            Refused::Taken => PoolError::AddressTaken,
            Refused::Outside => {
                PoolError::AddressOutside { address: address.to_owned(), range: self.addresses.range() }
            }
        };
        AllocationError::Address { address: address.to_owned(), all: all.to_vec(), source }
    }

    fn node_ports(&self, service: &mut Value, old: &Value, claims: &mut Claims) -> Result<(), AllocationError> {
        let held = node_ports_of(old);
        let mut ours = BTreeSet::new();
        if has_node_ports(service) {
            self.given_node_ports(service, &held, &mut ours, claims)?;
            self.free_node_ports(service, &mut ours, claims)?;
        }
        claims.freed.extend(held.difference(&ours).map(|port| (self.ports.clone(), *port)));
        Ok(())
    }

    /// Takes the node ports that the user chose.
    fn given_node_ports(
        &self,
        service: &Value,
        held: &BTreeSet<u32>,
        ours: &mut BTreeSet<u32>,
        claims: &mut Claims,
    ) -> Result<(), AllocationError> {
        for (index, port) in ports(service).enumerate() {
            let given = port["nodePort"].as_i64().unwrap_or(0);
            let Ok(number) = u32::try_from(given) else {
                return Err(self.port_error(index, given, &Refused::Outside));
            };
            // One number may serve several protocols of one Service.
            if number == 0 || !ours.insert(number) || held.contains(&number) {
                continue;
            }
            let claim = self.ports.claim(number).map_err(|refused| self.port_error(index, given, &refused))?;
            claims.taken.push(claim);
        }
        Ok(())
    }

    /// Picks node ports for the ports without; the same port of another protocol shares one.
    fn free_node_ports(
        &self,
        service: &mut Value,
        ours: &mut BTreeSet<u32>,
        claims: &mut Claims,
    ) -> Result<(), AllocationError> {
        if service["spec"]["allocateLoadBalancerNodePorts"] == json!(false)
            && service["spec"]["type"] == json!("LoadBalancer")
        {
            return Ok(());
        }
        let mut by_port: BTreeMap<i64, (u32, Vec<String>)> = BTreeMap::new();
        let text = |port: &Value| port["protocol"].as_str().unwrap_or("TCP").to_owned();
        for port in ports(service) {
            if let Some(given) = node_port(port) {
                by_port.entry(port["port"].as_i64().unwrap_or(0)).or_insert((given, vec![])).1.push(text(port));
            }
        }
        let list = list_mut(service, "/spec/ports");
        for port in list.iter_mut().filter(|port| node_port(port).is_none()) {
            let (key, protocol) = (port["port"].as_i64().unwrap_or(0), text(port));
            let chosen = match by_port.get_mut(&key).filter(|(_, protocols)| !protocols.contains(&protocol)) {
                Some((number, protocols)) => {
                    protocols.push(protocol);
                    *number
                }
                None => {
                    let claim = self.ports.claim_any().ok_or(AllocationError::NoPort(PoolError::Full))?;
                    let number = claim.number();
                    claims.taken.push(claim);
                    by_port.insert(key, (number, vec![protocol]));
                    number
                }
            };
            ours.insert(chosen);
            port["nodePort"] = json!(chosen);
        }
        Ok(())
    }

    fn port_error(&self, index: usize, port: i64, refused: &Refused) -> AllocationError {
        AllocationError::Port { index, port, source: self.port_refused(refused) }
    }

    fn port_refused(&self, refused: &Refused) -> PoolError {
        match refused {
            Refused::Taken => PoolError::PortTaken,
            Refused::Outside => PoolError::PortOutside { range: self.ports.range() },
        }
    }

    fn health_check_port(&self, service: &mut Value, old: &Value, claims: &mut Claims) -> Result<(), AllocationError> {
        let (held, wanted) = (health_check_port_of(old), health_check_port_of(service));
        let needed = needs_health_check_port(service);
        if let Some(held) = held
            && (!needed || wanted.is_some_and(|wanted| wanted != held))
        {
            claims.freed.push((self.ports.clone(), held));
        }
        if !needed {
            return Ok(());
        }
        let claim = match (wanted, held) {
            (Some(wanted), held) if Some(wanted) == held => return Ok(()),
            (Some(wanted), _) => self.ports.claim(wanted).map_err(|refused| AllocationError::HealthCheckPort {
                port: i64::from(wanted),
                source: self.port_refused(&refused),
            })?,
            (None, _) => self.ports.claim_any().ok_or(AllocationError::NoPort(PoolError::Full))?,
        };
        service["spec"]["healthCheckNodePort"] = json!(claim.number());
        claims.taken.push(claim);
        Ok(())
    }
}

pub(super) fn type_of(service: &Value) -> &str {
    service["spec"]["type"].as_str().unwrap_or("ClusterIP")
}

/// Whether the Service has cluster addresses, or says that it wants none.
pub(crate) fn has_addresses(service: &Value) -> bool {
    type_of(service) != "ExternalName"
}

/// Whether the Service is reached through ports of the nodes.
pub(crate) fn has_node_ports(service: &Value) -> bool {
    matches!(type_of(service), "NodePort" | "LoadBalancer")
}

/// Whether nodes tell a load balancer if they hold endpoints.
pub(crate) fn needs_health_check_port(service: &Value) -> bool {
    type_of(service) == "LoadBalancer" && service["spec"]["externalTrafficPolicy"] == json!("Local")
}

fn is_headless(service: &Value) -> bool {
    service["spec"]["clusterIP"] == json!("None") || service["spec"]["clusterIPs"][0] == json!("None")
}

fn ports(service: &Value) -> impl Iterator<Item = &Value> {
    service["spec"]["ports"].as_array().into_iter().flatten()
}

fn node_port(port: &Value) -> Option<u32> {
    port["nodePort"].as_u64().and_then(|number| u32::try_from(number).ok()).filter(|number| *number != 0)
}

/// The cluster addresses in the object, without `None`.
fn addresses_of(service: &Value) -> Vec<String> {
    if !has_addresses(service) {
        return Vec::new();
    }
    let spec = &service["spec"];
    let mut found: Vec<&str> = spec["clusterIPs"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if found.is_empty() {
        found.extend(spec["clusterIP"].as_str());
    }
    found.into_iter().filter(|address| !address.is_empty() && *address != "None").map(str::to_owned).collect()
}

fn node_ports_of(service: &Value) -> BTreeSet<u32> {
    if has_node_ports(service) { ports(service).filter_map(node_port).collect() } else { BTreeSet::new() }
}

fn health_check_port_of(service: &Value) -> Option<u32> {
    let port = service["spec"]["healthCheckNodePort"].as_u64().filter(|_| needs_health_check_port(service))?;
    u32::try_from(port).ok().filter(|port| *port != 0)
}
