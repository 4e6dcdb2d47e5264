"""OCSF 1.5.0: attributes of the class Detection Finding and of the objects in it, as published by the schema's project.

Each attribute is ``name:type``, ``@`` before the name of an object, ``[]`` behind an array, ``!`` behind what is required. Attributes
of profiles, which a finding must declare to use, are left out.
"""

from __future__ import annotations

VERSION = "1.5.0"

_ATTRIBUTES = {
    "detection_finding": """
        activity_id:integer! activity_name:string anomaly_analyses:@anomaly_analysis[] category_name:string
        category_uid:integer! class_name:string class_uid:integer! comment:string confidence:string
        confidence_id:integer confidence_score:integer count:integer device:@device duration:long end_time:timestamp
        enrichments:@enrichment[] evidences:@evidences[] finding_info:@finding_info! impact:string impact_id:integer
        impact_score:integer is_alert:boolean malware:@malware[] malware_scan_info:@malware_scan_info message:string
        metadata:@metadata! observables:@observable[] raw_data:string raw_data_size:long remediation:@remediation
        resources:@resource_details[] risk_details:string risk_level:string risk_level_id:integer risk_score:integer
        severity:string severity_id:integer! start_time:timestamp status:string status_code:string
        status_detail:string status_id:integer time:timestamp! timezone_offset:integer type_name:string type_uid:long!
        unmapped:@object vendor_attributes:@vendor_attributes vulnerabilities:@vulnerability[]
    """,
    "metadata": """
        correlation_uid:string debug:string[] event_code:string extension:@extension extensions:@extension[]
        labels:string[] log_level:string log_name:string log_provider:string log_version:string logged_time:timestamp
        loggers:@logger[] modified_time:timestamp original_time:string processed_time:timestamp product:@product!
        profiles:string[] sequence:integer tags:@key_value_object[] tenant_uid:string
        transformation_info_list:@transformation_info[] uid:string version:string!
    """,
    "product": """
        cpe_name:string feature:@feature lang:string name:string path:string uid:string url_string:url
        vendor_name:string version:string
    """,
    "finding_info": """
        analytic:@analytic attacks:@attack[] created_time:timestamp data_sources:string[] desc:string
        first_seen_time:timestamp kill_chain:@kill_chain_phase[] last_seen_time:timestamp modified_time:timestamp
        product:@product product_uid:string related_analytics:@analytic[] related_events:@related_event[]
        related_events_count:integer src_url:url tags:@key_value_object[] title:string traits:@trait[] types:string[]
        uid:string! uid_alt:string
    """,
    "analytic": """
        algorithm:string category:string desc:string name:string related_analytics:@analytic[] type:string
        type_id:integer! uid:string version:string
    """,
    "attack": """
        mitigation:@mitigation sub_technique:@sub_technique tactic:@tactic tactics:@tactic[] technique:@technique
        version:string
    """,
    "tactic": """
        name:string src_url:url uid:string
    """,
    "technique": """
        name:string src_url:url uid:string
    """,
    "sub_technique": """
        name:string src_url:url uid:string
    """,
    "device": """
        agent_list:@agent[] autoscale_uid:string boot_time:timestamp boot_uid:string created_time:timestamp
        desc:string domain:string eid:string first_seen_time:timestamp groups:@group[] hostname:hostname
        hw_info:@device_hw_info hypervisor:string iccid:string image:@image imei:string imei_list:string[]
        instance_uid:string interface_name:string interface_uid:string ip:ip is_backed_up:boolean is_compliant:boolean
        is_managed:boolean is_mobile_account_active:boolean is_personal:boolean is_shared:boolean
        is_supervised:boolean is_trusted:boolean last_seen_time:timestamp location:@location mac:mac meid:string
        model:string modified_time:timestamp name:string network_interfaces:@network_interface[] org:@organization
        os:@os os_machine_uuid:uuid owner:@user region:string risk_level:string risk_level_id:integer
        risk_score:integer subnet:subnet subnet_uid:string type:string type_id:integer! udid:string uid:string
        uid_alt:string vendor_name:string vlan_uid:string vpc_uid:string zone:string
    """,
    "resource_details": """
        agent_list:@agent[] created_time:timestamp criticality:string data:json group:@group hostname:hostname ip:ip
        is_backed_up:boolean labels:string[] modified_time:timestamp name:string namespace:string owner:@user
        resource_relationship:@graph tags:@key_value_object[] type:string uid:resource_uid uid_alt:resource_uid
        version:string
    """,
    "evidences": """
        actor:@actor api:@api connection_info:@network_connection_info container:@container data:json
        database:@database databucket:@databucket device:@device dst_endpoint:@network_endpoint email:@email
        file:@file http_request:@http_request http_response:@http_response ja4_fingerprint_list:@ja4_fingerprint[]
        job:@job name:string process:@process query:@dns_query reg_key:@win/reg_key reg_value:@win/reg_value
        resources:@resource_details[] script:@script src_endpoint:@network_endpoint tls:@tls uid:string url:@url
        user:@user verdict:string verdict_id:integer win_service:@win/win_service
    """,
    "process": """
        ancestry:@process_entity[] cmd_line:string cpid:uuid created_time:timestamp
        environment_variables:@environment_variable[] file:@file integrity:string integrity_id:integer
        lineage:file_path[] loaded_modules:string[] name:process_name parent_process:@process path:string pid:integer
        sandbox:string session:@session terminated_time:timestamp tid:integer uid:string user:@user
        working_directory:string xattributes:@object
    """,
    "file": """
        accessed_time:timestamp accessor:@user attributes:integer company_name:string confidentiality:string
        confidentiality_id:integer created_time:timestamp creator:@user desc:string drive_type:string
        drive_type_id:integer encryption_details:@encryption_details ext:string hashes:@fingerprint[]
        internal_name:string is_deleted:boolean is_encrypted:boolean is_system:boolean mime_type:string
        modified_time:timestamp modifier:@user name:file_name! owner:@user parent_folder:string path:file_path
        product:@product security_descriptor:string signature:@digital_signature size:long tags:@key_value_object[]
        type:string type_id:integer! uid:string uri:url url:@url version:string volume:string xattributes:@object
    """,
    "user": """
        account:@account credential_uid:string display_name:string domain:string email_addr:email forward_addr:email
        full_name:string groups:@group[] has_mfa:boolean ldap_person:@ldap_person name:username org:@organization
        phone_number:string risk_level:string risk_level_id:integer risk_score:integer type:string type_id:integer
        uid:string uid_alt:string
    """,
    "network_endpoint": """
        agent_list:@agent[] autonomous_system:@autonomous_system domain:string hostname:hostname
        hw_info:@device_hw_info instance_uid:string interface_name:string interface_uid:string intermediate_ips:ip[]
        ip:ip isp:string isp_org:string location:@location mac:mac name:string os:@os owner:@user port:port
        proxy_endpoint:@network_proxy subnet_uid:string svc_name:string type:string type_id:integer uid:string
        vlan_uid:string vpc_uid:string zone:string
    """,
    "network_connection_info": """
        boundary:string boundary_id:integer community_uid:string direction:string direction_id:integer!
        flag_history:string protocol_name:string protocol_num:integer protocol_ver:string protocol_ver_id:integer
        session:@session tcp_flags:integer uid:string
    """,
    "http_request": """
        args:string body_length:integer http_headers:@http_header[] http_method:string length:integer referrer:string
        uid:string url:@url user_agent:string version:string x_forwarded_for:ip[]
    """,
    "http_response": """
        body_length:integer code:integer! content_type:string http_headers:@http_header[] latency:integer
        length:integer message:string status:string
    """,
    "url": """
        categories:string[] category_ids:integer[] domain:string hostname:hostname path:string port:port
        query_string:string resource_type:string scheme:string subdomain:string url_string:url
    """,
    "observable": """
        name:string reputation:@reputation type:string type_id:integer! value:string
    """,
}
OBJECTS = {
    name: dict(attribute.split(":") for attribute in attributes.split()) for name, attributes in _ATTRIBUTES.items()
}

AT_LEAST_ONE = {
    "product": "name uid",
    "analytic": "name uid",
    "attack": "tactic technique sub_technique",
    "tactic": "name uid",
    "technique": "name uid",
    "sub_technique": "name uid",
    "device": "ip uid name hostname instance_uid interface_uid interface_name",
    "resource_details": "name uid",
    "evidences": "actor api connection_info data database databucket device dst_endpoint email file process query src_endpoint url user job script reg_key reg_value win_service",
    "process": "pid uid cpid",
    "user": "account name uid",
    "network_endpoint": "ip uid name hostname svc_name instance_uid interface_uid interface_name domain",
    "url": "url_string path",
}

# Captions by id.
ENUMS = {
    "detection_finding.activity_id": {0: "Unknown", 1: "Create", 2: "Update", 3: "Close", 99: "Other"},
    "detection_finding.category_uid": {2: "Findings"},
    "detection_finding.class_uid": {2004: "Detection Finding"},
    "detection_finding.severity_id": {
        0: "Unknown",
        1: "Informational",
        2: "Low",
        3: "Medium",
        4: "High",
        5: "Critical",
        6: "Fatal",
        99: "Other",
    },
    "detection_finding.status_id": {
        0: "Unknown",
        1: "New",
        2: "In Progress",
        3: "Suppressed",
        4: "Resolved",
        5: "Archived",
        99: "Other",
    },
    "detection_finding.type_uid": {
        200400: "Detection Finding: Unknown",
        200401: "Detection Finding: Create",
        200402: "Detection Finding: Update",
        200403: "Detection Finding: Close",
        200499: "Detection Finding: Other",
    },
    "analytic.type_id": {
        0: "Unknown",
        1: "Rule",
        2: "Behavioral",
        3: "Statistical",
        4: "Learning (ML/DL)",
        5: "Fingerprinting",
        6: "Tagging",
        7: "Keyword Match",
        8: "Regular Expressions",
        9: "Exact Data Match",
        10: "Partial Data Match",
        11: "Indexed Data Match",
        99: "Other",
    },
    "observable.type_id": {
        0: "Unknown",
        1: "Hostname",
        2: "IP Address",
        3: "MAC Address",
        4: "User Name",
        5: "Email Address",
        6: "URL String",
        7: "File Name",
        8: "Hash",
        9: "Process Name",
        10: "Resource UID",
        11: "Port",
        12: "Subnet",
        13: "Command Line",
        14: "Country",
        15: "Process ID",
        16: "HTTP User-Agent",
        17: "CWE Object: uid",
        18: "CVE Object: uid",
        19: "User Credential ID",
        20: "Endpoint",
        21: "User",
        22: "Email",
        23: "Uniform Resource Locator",
        24: "File",
        25: "Process",
        26: "Geo Location",
        27: "Container",
        28: "Registry Key",
        29: "Registry Value",
        30: "Fingerprint",
        31: "User Object: uid",
        32: "Group Object: name",
        33: "Group Object: uid",
        34: "Account Object: name",
        35: "Account Object: uid",
        36: "Script Content",
        37: "Serial Number",
        38: "Resource Details Object: name",
        39: "Process Entity Object: uid",
        40: "Email Object: subject",
        41: "Email Object: uid",
        42: "Message UID",
        43: "Registry Value Object: name",
        44: "Advisory Object: uid",
        45: "File Path",
        46: "Registry Key Path",
        99: "Other",
    },
    "file.type_id": {
        0: "Unknown",
        1: "Regular File",
        2: "Folder",
        3: "Character Device",
        4: "Block Device",
        5: "Local Socket",
        6: "Named Pipe",
        7: "Symbolic Link",
        99: "Other",
    },
    "device.type_id": {
        0: "Unknown",
        1: "Server",
        2: "Desktop",
        3: "Laptop",
        4: "Tablet",
        5: "Mobile",
        6: "Virtual",
        7: "IOT",
        8: "Browser",
        9: "Firewall",
        10: "Switch",
        11: "Hub",
        12: "Router",
        13: "IDS",
        14: "IPS",
        15: "Load Balancer",
        99: "Other",
    },
    "network_connection_info.direction_id": {0: "Unknown", 1: "Inbound", 2: "Outbound", 3: "Lateral", 99: "Other"},
}
