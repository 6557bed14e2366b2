module github.com/TencentCloud/tencentcloud-cmq-sdk-go

go 1.18
